import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { type Gunzip, gunzip, type ZlibOptions } from 'node:zlib'
import type { Arrivals } from './arrivals.js'
import { Refusal } from './refusal.js'

/** Says how many bytes it took, too. */
const inflate = promisify(gunzip) as unknown as (
  body: Buffer,
  options: ZlibOptions & { readonly info: true },
) => Promise<{ readonly buffer: Buffer; readonly engine: Gunzip }>

/** A body as it came. */
export interface Body {
  readonly bytes: Buffer
  readonly compressed: boolean
}

/**
 * The body of a request, as it came.
 *
 * @throws {Refusal} 413 when it is larger than `maxBytes`, 415 for another encoding than gzip; 408 and 503 as {@link Arrivals} say
 * @returns `null` when its sender left before it was whole
 */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  arrivals: Arrivals,
): Promise<Body | null> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') throw new Refusal(415, `content-encoding: ${encoding}`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks = await chunksOf(request, maxBytes, arrivals)
  return chunks === null ? null : { bytes: Buffer.concat(chunks), compressed: encoding === 'gzip' }
}

/**
 * A body uncompressed.
 * @throws {Refusal} 413 when it is larger than `maxBytes`, 400 when it is not what it says
 */
export async function uncompressed({ bytes, compressed }: Body, maxBytes: number): Promise<Buffer> {
  if (!compressed) return bytes
  try {
    const { buffer, engine } = await inflate(bytes, { maxOutputLength: maxBytes, info: true })
    // Zero bytes end what gunzip reads, whatever comes after them.
    if (engine.bytesWritten === bytes.length) return buffer
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes)
  }
  throw new Refusal(400, 'the body is not what gzip writes')
}

/** Refused, the stream is left as it is: its sender is to read why, so that his connection stays until he is answered. */
function chunksOf(request: IncomingMessage, maxBytes: number, arrivals: Arrivals): Promise<Buffer[] | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const done = (settle: () => void): void => {
      arrival.end()
      request.off('data', onData).off('end', onEnd).off('close', onLeft).off('error', onLeft)
      // An error of a stream that nobody listens to any more ends the process.
      request.on('error', () => undefined)
      request.pause()
      settle()
    }
    const refuse = (refusal: unknown): void => done(() => reject(refusal as Error))
    const onData = (chunk: Buffer): void => {
      length += chunk.length
      if (length > maxBytes) {
        refuse(tooLarge(maxBytes))
        return
      }
      try {
        arrival.grow(chunk.length)
        chunks.push(chunk)
      } catch (refusal) {
        refuse(refusal)
      }
    }
    const onEnd = (): void => done(() => resolve(chunks))
    // Whatever else ends a stream of a connection, the rest does not come.
    const onLeft = (): void => done(() => resolve(null))
    const arrival = arrivals.begin(refuse)
    request.on('data', onData).on('end', onEnd).on('close', onLeft).on('error', onLeft)
  })
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `the body is larger than ${maxBytes} bytes`)
}
