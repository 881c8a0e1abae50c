import type { KestEntry } from '../entry/entry.js'
import { entryHash } from '../entry/hash.js'
import { serializeEntry } from '../entry/serialize.js'
import type { Signer } from '../identity/provider.js'
import { DEFAULT_LIMITS, type Limits } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { signCompact } from './sign-compact.js'

/** A signed entry: its compact string, and the hash that names it. */
export interface SignedEntry {
  readonly jws: string
  readonly hash: string
}

/**
 * Canonicalizes an entry and signs it (F-AE-03, SPEC §3.2). Synchronous when the signer is.
 *
 * @param limits `entryBytes` bounds the compact string; checked before the key is used
 * @throws {KestError} `ERR_KEST_NOT_JSON`, `ERR_KEST_LIMIT`; `ERR_KEST_IDENTITY` when the signer fails, or answers
 *   something that is no signature of its algorithm.
 */
export function signEntry(
  entry: KestEntry,
  signer: Signer,
  limits: Limits = DEFAULT_LIMITS,
): MaybePromise<SignedEntry> {
  const jws = signCompact('the entry', 'JWS', serializeEntry(entry), signer, limits.entryBytes)
  return isPromise(jws) ? jws.then(named) : named(jws)
}

function named(jws: string): SignedEntry {
  return { jws, hash: entryHash(jws) }
}
