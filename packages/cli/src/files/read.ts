import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { KestError, openRegularFile } from '@kest/core'

/** Bytes of a file that are read: a passport has at most one MiB, the rest is trust material. */
export const MAX_FILE_BYTES: number = 4 * 1024 * 1024
/** The name that stands for standard input. */
export const STDIN = '-'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'reading it is not permitted',
}
/** A descriptor that whoever started the process handed down: `<(zcat …)` of a shell is the path of one. */
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/

export function isDescriptor(path: string): boolean {
  return DESCRIPTOR.test(path)
}

/** How the text of what was named is read; {@link readText}, or what that has read. */
export type ReadText = (path: string) => Promise<string>

/**
 * The text of a regular file, of a descriptor that was handed down (`/dev/fd/N`, as a shell writes `<(…)`), or of standard input for `-`.
 * The latter two are read to their end, whenever that comes; a FIFO or a device that is named is never opened.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE`: it cannot be read, or is not UTF-8; `ERR_KEST_LIMIT`: it is too large
 */
export async function readText(path: string, stdin: Readable): Promise<string> {
  return textOf(await readBytes(path, stdin))
}

/** Reads what is named, standard input too. */
export function readerOf({ stdin }: { readonly stdin: Readable }): ReadText {
  return (path) => readText(path, stdin)
}

/** @throws {KestError} `ERR_KEST_EVIDENCE` when it is not UTF-8 */
export function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw unreadable('it is not UTF-8')
  return bytes.toString('utf8')
}

/** As {@link readText}, whatever is in it. */
export async function readBytes(path: string, stdin: Readable): Promise<Buffer> {
  if (path === STDIN) return await collect(stdin)
  try {
    const descriptor = DESCRIPTOR.exec(path)?.[1]
    if (descriptor === undefined) return await collect((await openRegularFile(path)).createReadStream())
    return await collect(createReadStream('', { fd: Number(descriptor), autoClose: false }))
  } catch (cause) {
    throw asUnreadable(cause)
  }
}

/**
 * What a regular file begins with: all of it, or one byte more than {@link MAX_FILE_BYTES}.
 * @throws {KestError} `ERR_KEST_EVIDENCE`: it cannot be read
 */
export async function readBeginning(path: string): Promise<Buffer> {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of (await openRegularFile(path)).createReadStream({ end: MAX_FILE_BYTES }))
      chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch (cause) {
    throw asUnreadable(cause)
  }
}

function asUnreadable(cause: unknown): KestError {
  if (cause instanceof KestError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  return unreadable(code === undefined ? message : (REASONS[code] ?? code), cause)
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length
    // Leaving the loop destroys the stream.
    if (bytes > MAX_FILE_BYTES) {
      throw new KestError('ERR_KEST_LIMIT', `more than ${MAX_FILE_BYTES} bytes, which is all that is read`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

function unreadable(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_EVIDENCE', `it cannot be read: ${why}`, cause === undefined ? {} : { cause })
}
