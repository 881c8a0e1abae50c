import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { Unreadable } from '../span/unreadable.js'
import type { ByteReader } from './byte-reader.js'
import { TooLarge } from './growth.js'

/** What Node has of it, from 22.15 on. */
interface NodeZstd {
  createZstdDecompress?: () => zlib.Gunzip
  zstdDecompress?: (
    bytes: Buffer,
    options: { readonly maxOutputLength: number; readonly info: true },
    callback: (
      error: Error | null,
      result: { readonly buffer: Buffer; readonly engine: zlib.Gunzip },
    ) => void,
  ) => void
}
const { createZstdDecompress, zstdDecompress } = zlib as unknown as NodeZstd
const UNREAD =
  'it is compressed by zstd, which Node reads from 22.15 on: take a newer one, or `zstd -dc FILE | kest audit -`'

/** @throws {Unreadable} where Node has none */
export function zstdStream(): zlib.Gunzip {
  if (createZstdDecompress === undefined) throw new Unreadable(UNREAD)
  return createZstdDecompress()
}

/**
 * One message that is one frame.
 * @throws {Unreadable} where Node has none, or it is not that
 * @throws {TooLarge} when it would have more than `maxBytes`
 */
export async function unzstd(message: Buffer, maxBytes: number): Promise<Buffer> {
  if (zstdDecompress === undefined) throw new Unreadable(UNREAD)
  try {
    const { buffer, engine } = await promisify(zstdDecompress)(message, {
      maxOutputLength: maxBytes,
      info: true,
    })
    // Of several frames it reads the first alone.
    if (engine.bytesWritten === message.length) return buffer
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new TooLarge('uncompressed it is larger than is read')
  }
  throw new Unreadable('a message in it is not what zstd writes')
}

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50

/**
 * Hands on what zstd wrote such that each frame ends where a chunk does: Node goes on to the next one then, and ends, with a word to
 * nobody, where there is something behind it in the same chunk (RFC 8878, 3.1).
 *
 * @throws {Unreadable} for what is no frame, or ends in the middle of one
 */
export async function* zstdFrames(reader: ByteReader): AsyncGenerator<Buffer> {
  for (;;) {
    const head = await reader.take(4)
    if (head.length === 0) return
    if (head.length < 4) throw new Unreadable('it ends in the middle')
    const magic = head.readUInt32LE()
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      const length = (await exactly(reader, 4)).readUInt32LE()
      if ((await reader.skip(length)) > 0) throw new Unreadable('it ends in the middle')
    } else if (magic === MAGIC) yield* frame(head, reader)
    else throw new Unreadable('something is in it that zstd did not write')
  }
}

async function* frame(magic: Buffer, reader: ByteReader): AsyncGenerator<Buffer> {
  const descriptor = await exactly(reader, 1)
  const flags = descriptor.readUInt8()
  const single = (flags & 0x20) !== 0
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][flags >> 6] as number
  const idBytes = [0, 1, 2, 4][flags & 3] as number
  let held = Buffer.concat([magic, descriptor, await exactly(reader, (single ? 0 : 1) + idBytes + sizeBytes)])
  for (;;) {
    const head = await exactly(reader, 3)
    const word = head.readUIntLE(0, 3)
    // Of a block that is one byte many times, that one.
    const content = await exactly(reader, ((word >> 1) & 3) === 1 ? 1 : word >> 3)
    const block = Buffer.concat([held, head, content])
    if ((word & 1) !== 0) {
      yield (flags & 4) === 0 ? block : Buffer.concat([block, await exactly(reader, 4)])
      return
    }
    yield block
    held = Buffer.alloc(0)
  }
}

async function exactly(reader: ByteReader, bytes: number): Promise<Buffer> {
  const taken = await reader.take(bytes)
  if (taken.length < bytes) throw new Unreadable('it ends in the middle')
  return taken
}
