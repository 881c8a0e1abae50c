import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { type Gunzip, gunzip, type ZlibOptions } from 'node:zlib'
import { Refusal } from './refusal.js'

/** Says how many bytes it took, too. */
const inflate = promisify(gunzip) as unknown as (
  body: Buffer,
  options: ZlibOptions & { readonly info: true },
) => Promise<{ readonly buffer: Buffer; readonly engine: Gunzip }>

/**
 * The body of a request, uncompressed.
 *
 * @param maxBytes before and after it is uncompressed; neither is more than that in memory
 * @throws {Refusal} 413 when it is larger, 415 for another encoding than gzip, 400 when it is not what it says
 * @returns `null` when its sender left before it was whole
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') throw new Refusal(415, `content-encoding: ${encoding}`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks = await chunksOf(request, maxBytes)
  if (chunks === null) return null
  const body = Buffer.concat(chunks)
  return encoding === 'gzip' ? uncompressed(body, maxBytes) : body
}

async function chunksOf(request: IncomingMessage, maxBytes: number): Promise<Buffer[] | null> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    // The sender is to read why, so that his connection stays until he is answered.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > maxBytes) throw tooLarge(maxBytes)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    // Whatever else ends a stream of a connection, the rest does not come.
    return null
  }
  return chunks
}

async function uncompressed(body: Buffer, maxOutputLength: number): Promise<Buffer> {
  try {
    const { buffer, engine } = await inflate(body, { maxOutputLength, info: true })
    // Zero bytes end what gunzip reads, whatever comes after them.
    if (engine.bytesWritten === body.length) return buffer
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxOutputLength)
  }
  throw new Refusal(400, 'the body is not what gzip writes')
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `the body is larger than ${maxBytes} bytes`)
}
