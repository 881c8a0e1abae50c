import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { assertOptions } from './assert-options.js'

/** Bytes of a file that are read where nothing else is said. */
const MAX_BYTES = 16 * 1024 * 1024
const CHUNK_BYTES = 65_536
/** What became a FIFO since it was looked at is not waited for. Windows has neither. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)

/** How much of a file is read, and until when. */
export interface ReadRegularFileOptions {
  /** A larger file is refused. Default 16,777,216. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
}

/**
 * Opens a file to read it, if it is a regular one, by whatever links. A FIFO or a device is never opened: it could be waited for, or
 * read, for ever, and to open one can do something.
 *
 * @throws {Error} when it is another thing, or cannot be opened: then with the `code` of the system
 */
export async function openRegularFile(path: string | URL): Promise<FileHandle> {
  assertRegular(await stat(path))
  const file = await open(path, FLAGS)
  try {
    // It may have been replaced meanwhile.
    assertRegular(await file.stat())
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * A regular file's bytes. The one way in which files are read whole: what is none, or has no end, is an error in bounded time and memory.
 *
 * @throws {Error} as {@link openRegularFile}, and when it has more bytes than are read
 */
export async function readRegularFile(
  path: string | URL,
  options: ReadRegularFileOptions = {},
): Promise<Buffer> {
  assertOptions('readRegularFile', options, ['maxBytes', 'signal'])
  const { maxBytes = MAX_BYTES, signal } = options
  const file = await openRegularFile(path)
  try {
    const chunks = new Chunks((await file.stat()).size, maxBytes)
    for (;;) {
      signal?.throwIfAborted()
      const { bytesRead } = await file.read(chunks.next())
      if (chunks.end(bytesRead)) return chunks.bytes()
    }
  } finally {
    await file.close()
  }
}

/** The same at once. @throws as {@link readRegularFile} */
export function readRegularFileSync(path: string | URL, maxBytes: number = MAX_BYTES): Buffer {
  assertRegular(statSync(path))
  const fd = openSync(path, FLAGS)
  try {
    const found = fstatSync(fd)
    assertRegular(found)
    const chunks = new Chunks(found.size, maxBytes)
    while (!chunks.end(readSync(fd, chunks.next()))) {}
    return chunks.bytes()
  } finally {
    closeSync(fd)
  }
}

/** What was read of a file, whose size is a word that is not relied on: it may grow, or have none to tell. */
class Chunks {
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #size: number
  #length = 0

  constructor(size: number, maxBytes: number) {
    if (size > maxBytes) throw tooLarge(maxBytes)
    this.#size = size
    this.#maxBytes = maxBytes
  }

  /** Where to read to: one more than is expected, so that the end is seen. */
  next(): Buffer {
    const chunk = Buffer.allocUnsafe(Math.max(this.#size - this.#length + 1, CHUNK_BYTES))
    this.#chunks.push(chunk)
    return chunk
  }

  /** @returns whether it is over */
  end(bytesRead: number): boolean {
    const chunk = this.#chunks.pop() as Buffer
    this.#chunks.push(chunk.subarray(0, bytesRead))
    this.#length += bytesRead
    if (this.#length > this.#maxBytes) throw tooLarge(this.#maxBytes)
    return bytesRead === 0
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

function assertRegular(found: Stats): void {
  if (!found.isFile()) throw new Error(found.isDirectory() ? 'it is a directory' : 'it is no regular file')
}

function tooLarge(maxBytes: number): Error {
  return new Error(`it has more than ${maxBytes} bytes, which is all that is read`)
}
