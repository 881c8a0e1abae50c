import { KestError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import type { JwsAlgorithm } from '../jws/algorithm.js'
import { verifySignature } from '../jws/verify-signature.js'
import { findKeys } from '../passport/find-keys.js'
import { shown } from '../shown.js'
import type { KestDenial } from './denial.js'
import type { ParsedDenial } from './parse.js'

/** A denial that its principal has signed. */
export interface VerifiedDenial {
  readonly jws: string
  /** SHA-256 of `jws`, lowercase hex. */
  readonly hash: string
  readonly denial: KestDenial
  readonly principal: string
  readonly alg: JwsAlgorithm
  /** Name of the key source that vouched. */
  readonly keySource: string
}

/**
 * That a denial was signed by the principal that it names (K-BIND): it refused this operation, and says what it had verified.
 *
 * Does *not* say that what it names as parents holds: those are entries, and verified as such.
 *
 * @param sources whose keys count, asked in order
 * @param at when certificates must have been valid, milliseconds since the epoch; default: its own time
 * @throws {KestError} `ERR_KEST_KEY_UNKNOWN`, `ERR_KEST_ALG`, `ERR_KEST_CERTIFICATE`, `ERR_KEST_CERTIFICATE_UNSUPPORTED`,
 *   `ERR_KEST_SIGNATURE`, `ERR_KEST_KEYS_UNAVAILABLE`
 */
export async function verifyDenial(
  { jws, hash, header, denial, signingInput, signature }: ParsedDenial,
  sources: readonly KeySource[],
  at: number = denial.timestamp_ms,
): Promise<VerifiedDenial> {
  const { principal } = denial
  const { keys, source } = await keysOf({ principal, header, time: at }, sources)
  if (!keys.some(({ key }) => verifySignature(header.alg, key, signingInput, signature)))
    throw new KestError('ERR_KEST_SIGNATURE', `denial: the signature is not by a key of ${shown(principal)}`)
  return Object.freeze({ jws, hash, denial, principal, alg: header.alg, keySource: source.name })
}

async function keysOf(...asked: Parameters<typeof findKeys>): Promise<Awaited<ReturnType<typeof findKeys>>> {
  try {
    return await findKeys(...asked)
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', 'a key source failed', { cause })
  }
}
