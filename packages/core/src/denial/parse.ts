import { parseCanonical } from '../entry/canonical-text.js'
import { sha256Hex } from '../entry/hash.js'
import { KestError } from '../errors.js'
import type { JwsHeader } from '../jws/algorithm.js'
import { isHighS } from '../jws/ecdsa.js'
import { parseHeader } from '../jws/header.js'
import { payloadText, signatureBytes, splitCompact } from '../jws/segments.js'
import { DEFAULT_LIMITS, type Limits } from '../limits.js'
import { assertDenial, type KestDenial } from './denial.js'

/** A denial whose form is right. Who signed it, and whether, is not known yet. */
export interface ParsedDenial {
  readonly jws: string
  /** SHA-256 of `jws`, lowercase hex. Nobody's parent. */
  readonly hash: string
  readonly header: JwsHeader
  /** Frozen to its last member. */
  readonly denial: KestDenial
  /** What is signed: header and payload segment. */
  readonly signingInput: Buffer
  readonly signature: Buffer
}

/**
 * Reads a signed denial (K-DENIAL), as strictly as an entry (K-STRICT, K-LOWS), and never an entry: `typ` and members are its own.
 *
 * Does *not* check the signature: {@link verifyDenial} does.
 *
 * @throws {KestError} `ERR_KEST_ENTRY_MALFORMED`, `ERR_KEST_ENTRY_HEADER`, `ERR_KEST_ALG`, `ERR_KEST_ENTRY_NOT_CANONICAL`,
 *   `ERR_KEST_ENTRY_SCHEMA`, `ERR_KEST_LIMIT`, `ERR_KEST_SIGNATURE` (a high s)
 *
 * @example
 * ```ts
 * const { denial } = parseDenial(span.attributes['kest.denial'])
 * console.log(denial.operation, denial.code)
 * ```
 */
export function parseDenial(untrusted: unknown, limits: Limits = DEFAULT_LIMITS): ParsedDenial {
  const segments = splitCompact(untrusted, limits)
  const header = parseHeader(segments.header, limits, 'kest-denial')
  const denial = parseCanonical(payloadText(segments.payload), limits.nesting)
  assertDenial(denial)
  const signature = signatureBytes(segments.signature)
  if (isHighS(header.alg, signature)) throw new KestError('ERR_KEST_SIGNATURE', 'denial: its s is above n/2')
  const bytes = Buffer.from(segments.jws, 'latin1')
  return {
    jws: segments.jws,
    hash: sha256Hex(bytes),
    header,
    denial,
    signingInput: bytes.subarray(0, segments.signingInputLength),
    signature,
  }
}
