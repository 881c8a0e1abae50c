import type { JwsHeader } from '../jws/algorithm.js'
import { parseHeader } from '../jws/header.js'
import { payloadText, signatureBytes, splitCompact } from '../jws/segments.js'
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
    const signature = signatureBytes(segments.signature)
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

/** What could be read of the entry's id. */
function idOf(payload: JsonValue): string | null {
  const id = (payload as { entry_id?: unknown } | null)?.entry_id
  return typeof id === 'string' ? id : null
}
