import { isUtf8 } from 'node:buffer'
import { KestError } from '../errors.js'
import type { Limits } from '../limits.js'
import { decodeBase64Url } from './base64.js'

/** A compact string, taken apart. */
export interface Segments {
  readonly jws: string
  readonly header: string
  readonly payload: string
  readonly signature: string
  readonly signingInputLength: number
}

/**
 * Takes a compact string apart.
 * @throws {KestError} `ERR_KEST_ENTRY_MALFORMED`, `ERR_KEST_LIMIT`
 */
export function splitCompact(jws: unknown, limits: Limits): Segments {
  if (typeof jws !== 'string') throw malformed(`expected a JWS compact string, got ${typeof jws}`)
  if (jws.length > limits.entryBytes) {
    throw new KestError('ERR_KEST_LIMIT', `${jws.length} bytes; at most ${limits.entryBytes} are read`)
  }
  const first = jws.indexOf('.')
  const second = jws.indexOf('.', first + 1)
  if (first < 1 || second <= first + 1 || second === jws.length - 1 || jws.indexOf('.', second + 1) !== -1) {
    throw malformed('expected three segments, none of them empty')
  }
  return {
    jws,
    header: jws.slice(0, first),
    payload: jws.slice(first + 1, second),
    signature: jws.slice(second + 1),
    signingInputLength: second,
  }
}

/**
 * The text of a payload.
 * @throws {KestError} `ERR_KEST_ENTRY_MALFORMED` for what is not UTF-8 in strict base64url
 */
export function payloadText(segment: string): string {
  const bytes = decodeBase64Url(segment)
  if (bytes === undefined) throw malformed('the payload is not base64url in its one spelling')
  if (!isUtf8(bytes)) throw malformed('the payload is not UTF-8')
  return bytes.toString('utf8')
}

/**
 * The bytes of a signature.
 * @throws {KestError} `ERR_KEST_ENTRY_MALFORMED`
 */
export function signatureBytes(segment: string): Buffer {
  const signature = decodeBase64Url(segment)
  if (signature === undefined) throw malformed('the signature is not base64url in its one spelling')
  return signature
}

function malformed(message: string): KestError {
  return new KestError('ERR_KEST_ENTRY_MALFORMED', message)
}
