import { deflateSync, inflateSync } from 'node:zlib'
import { KestError } from '../errors.js'

/** base64url(zlib(text)), without padding: the value of tier 2 (F-CP-07). */
export function compress(text: string): string {
  return deflateSync(text, { level: 9 }).toString('base64url')
}

/**
 * The inverse of {@link compress}; padding is optional (F-CP-08). Inflation stops at `maxBytes`.
 *
 * @throws {KestError} `ERR_KEST_LIMIT` when more than `maxBytes` come out; `ERR_KEST_BAGGAGE` when it is not base64url,
 *   or not exactly one whole zlib stream
 */
export function decompress(value: string, maxBytes: number): Buffer {
  const data = decodeBase64url(value)
  try {
    const { buffer, engine } = inflateInfo(data, maxBytes)
    // zlib stops reading at the end of its stream; what follows would travel unseen.
    if (engine.bytesWritten === data.length) return buffer
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new KestError('ERR_KEST_LIMIT', `baggage: the passport inflates to more than ${maxBytes} bytes`, {
        cause,
      })
    }
    throw new KestError('ERR_KEST_BAGGAGE', 'baggage: the compressed passport is not a whole zlib stream', {
      cause,
    })
  }
  throw new KestError('ERR_KEST_BAGGAGE', 'baggage: something follows the compressed passport')
}

/** `info: true`, which the types of Node leave out of the answer. */
function inflateInfo(
  data: Buffer,
  maxOutputLength: number,
): { buffer: Buffer; engine: { bytesWritten: number } } {
  return inflateSync(data, { info: true, maxOutputLength }) as unknown as ReturnType<typeof inflateInfo>
}

function decodeBase64url(value: string): Buffer {
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0
  const digits = value.slice(0, value.length - padding)
  const data = Buffer.from(digits, 'base64url')
  // Node reads over what is no digit, and over unused bits; then the text is not what it would have written.
  if ((padding > 0 && value.length % 4 !== 0) || data.toString('base64url') !== digits) {
    throw new KestError('ERR_KEST_BAGGAGE', 'baggage: the compressed passport is not base64url')
  }
  return data
}
