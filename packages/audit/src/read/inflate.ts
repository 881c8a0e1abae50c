import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Unreadable } from '../span/unreadable.js'
import { ByteReader } from './byte-reader.js'
import { Growth } from './growth.js'
import { zstdFrames, zstdStream } from './zstd.js'

/**
 * What was compressed, all of it, also where it was appended to.
 *
 * @throws {Unreadable} when there is something else behind it, or it ends in the middle; what was before that has been read
 * @throws {TooLarge} when it becomes larger than may be
 * @throws {Error} what zlib says, with a `code`
 */
export async function* inflate(kind: 'gzip' | 'zstd', source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const inflater = kind === 'gzip' ? createGunzip() : zstdStream()
  const pieces = kind === 'gzip' ? source : zstdFrames(new ByteReader(source))
  const growth = new Growth()
  const input = Readable.from(counted(pieces, growth), { objectMode: true })
  input.on('error', (error) => inflater.destroy(error))
  input.pipe(inflater)
  try {
    for await (const chunk of inflater as AsyncIterable<Buffer>) {
      growth.made(chunk.length)
      yield chunk
    }
    // Zero bytes are padding to gunzip, whatever comes after them.
    if (inflater.bytesWritten < growth.bytes)
      throw new Unreadable('something comes after the end of what is compressed')
  } finally {
    input.destroy()
    inflater.destroy()
  }
}

async function* counted(source: AsyncIterable<Buffer>, growth: Growth): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    growth.took(chunk.length)
    yield chunk
  }
}
