import { isUtf8 } from 'node:buffer'
import { KestError, type PassportVerificationError } from '../errors.js'
import type { JwsHeader } from '../jws/algorithm.js'
import { decodeBase64Url } from '../jws/base64.js'
import { parseHeader } from '../jws/header.js'
import type { Limits } from '../limits.js'
import { atEntry } from './at-entry.js'
import { parseCanonical } from './canonical-text.js'
import type { JsonValue, KestEntry } from './entry.js'
import { sha256Hex } from './hash.js'
import { assertEntry } from './schema.js'

/** An entry whose form is right. Who signed it, and whether, is not known yet. */
export interface ParsedEntry {
  readonly jws: string
  /** SHA-256 of `jws`, lowercase hex. */
  readonly hash: string
  readonly header: JwsHeader
  /** Frozen to its last member. */
  readonly entry: KestEntry
  /** What is signed: header and payload segment. */
  readonly signingInput: Buffer
  readonly signature: Buffer
}

/**
 * Reads an entry by the rules of K-STRICT: there is one spelling of it, and everything else is refused.
 *
 * Does *not* check the signature, and nothing that takes other entries to know.
 *
 * @param options.index position in the passport, for the error
 * @throws {PassportVerificationError} `ERR_KEST_ENTRY_MALFORMED`, `ERR_KEST_ENTRY_HEADER`, `ERR_KEST_ALG`,
 *   `ERR_KEST_ENTRY_NOT_CANONICAL`, `ERR_KEST_ENTRY_SCHEMA`, `ERR_KEST_LIMIT`
 */
export function parseEntry(
  jws: unknown,
  options: { readonly limits: Limits; readonly index?: number },
): ParsedEntry {
  const { limits } = options
  let payload: JsonValue | undefined
  try {
    const segments = splitCompact(jws, limits)
    const header = parseHeader(segments.header, limits)
    payload = parsePayload(segments.payload, limits)
    assertEntry(payload)
    const signature = decodeBase64Url(segments.signature)
    if (signature === undefined) throw malformed('the signature is not base64url in its one spelling')
    const bytes = Buffer.from(segments.jws, 'latin1')
    return {
      jws: segments.jws,
      hash: sha256Hex(bytes),
      header,
      entry: payload,
      signingInput: bytes.subarray(0, segments.signingInputLength),
      signature,
    }
  } catch (error) {
    throw fault(error, options.index, payload)
  }
}

interface Segments {
  readonly jws: string
  readonly header: string
  readonly payload: string
  readonly signature: string
  readonly signingInputLength: number
}

function splitCompact(jws: unknown, limits: Limits): Segments {
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

function parsePayload(segment: string, limits: Limits): JsonValue {
  const bytes = decodeBase64Url(segment)
  if (bytes === undefined) throw malformed('the payload is not base64url in its one spelling')
  if (!isUtf8(bytes)) throw malformed('the payload is not UTF-8')
  return parseCanonical(bytes.toString('utf8'), limits.nesting)
}

function malformed(message: string): KestError {
  return new KestError('ERR_KEST_ENTRY_MALFORMED', message)
}

/** With what could be read of the entry's id. */
function fault(
  error: unknown,
  index: number | undefined,
  payload: JsonValue | undefined,
): PassportVerificationError {
  const id = (payload as { entry_id?: unknown } | null | undefined)?.entry_id
  return atEntry(error, index ?? null, typeof id === 'string' ? id : null, 'ERR_KEST_ENTRY_MALFORMED')
}
