import { isUtf8 } from 'node:buffer'
import { KestError } from '../errors.js'
import type { JwsHeader } from '../jws/algorithm.js'
import { decodeBase64Url } from '../jws/base64.js'
import { parseHeader } from '../jws/header.js'
import type { Limits } from '../limits.js'
import { atEntry } from './at-entry.js'
import { parseCanonical } from './canonical-text.js'
import type { JsonValue, KestEntry } from './entry.js'
import { sha256Hex } from './hash.js'
import { peek } from './peek.js'
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

/** How an entry is read. */
export interface ParseOptions {
  readonly limits: Limits
  /** Position in the passport, for the error. */
  readonly index?: number
  /** Asked before the payload is parsed, which takes longest; it throws what makes that needless. */
  readonly admit?: (principal: string, header: JwsHeader) => void
}

/**
 * Reads an entry by the rules of K-STRICT: there is one spelling of it, and everything else is refused.
 *
 * Does *not* check the signature, and nothing that takes other entries to know.
 *
 * @throws {PassportVerificationError} `ERR_KEST_ENTRY_MALFORMED`, `ERR_KEST_ENTRY_HEADER`, `ERR_KEST_ALG`,
 *   `ERR_KEST_ENTRY_NOT_CANONICAL`, `ERR_KEST_ENTRY_SCHEMA`, `ERR_KEST_LIMIT`, and what `admit` throws
 */
export function parseEntry(jws: unknown, { limits, index, admit }: ParseOptions): ParsedEntry {
  let entryId: string | null = null
  try {
    const segments = splitCompact(jws, limits)
    const header = parseHeader(segments.header, limits)
    const text = payloadText(segments.payload)
    if (admit !== undefined) {
      const peeked = peek(text)
      entryId = peeked?.entryId ?? null
      if (peeked !== undefined) admit(peeked.principal, header)
    }
    const payload = parseCanonical(text, limits.nesting)
    entryId = idOf(payload)
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
    throw atEntry(error, index ?? null, entryId, 'ERR_KEST_ENTRY_MALFORMED')
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

function payloadText(segment: string): string {
  const bytes = decodeBase64Url(segment)
  if (bytes === undefined) throw malformed('the payload is not base64url in its one spelling')
  if (!isUtf8(bytes)) throw malformed('the payload is not UTF-8')
  return bytes.toString('utf8')
}

/** What could be read of the entry's id. */
function idOf(payload: JsonValue): string | null {
  const id = (payload as { entry_id?: unknown } | null)?.entry_id
  return typeof id === 'string' ? id : null
}

function malformed(message: string): KestError {
  return new KestError('ERR_KEST_ENTRY_MALFORMED', message)
}
