import { deflateSync, inflateSync } from 'node:zlib'
import { KestError } from '@kest/core'

/** First byte of what is stored, which says what the others are. */
const PLAIN = 0x30
const COMPRESSED = 0x31
/** Less does not become shorter by much. */
const WORTH_COMPRESSING = 256

/** What is stored of a value: its UTF-8, compressed where that is worth it. Of the fastest level: most of a passport is signatures. */
export function pack(value: string): Buffer {
  if (value.length < WORTH_COMPRESSING) return Buffer.from(`${String.fromCharCode(PLAIN)}${value}`)
  return Buffer.concat([Buffer.of(COMPRESSED), deflateSync(value, { level: 1 })])
}

/**
 * The value again. Whoever may write to the cache wrote it: it is whole, by zlib's checksum, and anything.
 *
 * @param maxBytes of the value; inflation stops there
 * @throws {KestError} `ERR_KEST_CACHE` for what {@link pack} does not answer, and for more than `maxBytes`
 */
export function unpack(stored: Buffer, maxBytes: number): string {
  const [kind] = stored
  const rest = stored.subarray(1)
  if (kind === PLAIN && rest.length <= maxBytes) return rest.toString()
  if (kind === COMPRESSED) return inflate(rest, maxBytes)
  throw new KestError('ERR_KEST_CACHE', 'RedisCache: what was read is not what this cache writes')
}

function inflate(bytes: Buffer, maxBytes: number): string {
  try {
    return inflateSync(bytes, { maxOutputLength: maxBytes }).toString()
  } catch (cause) {
    const tooLong = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const why = tooLong ? `has more than ${maxBytes} bytes` : 'is damaged'
    throw new KestError('ERR_KEST_CACHE', `RedisCache: what was read ${why}`, { cause })
  }
}
