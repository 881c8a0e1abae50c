import type { KestEntry } from '../entry/entry.js'
import type { KestErrorCode } from '../errors.js'
import type { JwsAlgorithm } from '../jws/algorithm.js'

/** Who acts, as far as an entry says (K-IDENT). */
export interface IdentityContext {
  readonly user: string | null
  readonly agent: string | null
  readonly task: string | null
}

/** Something that does not break the chain and that an auditor should know (K-SEM). */
export interface Finding {
  /** What it is; several kinds may share the code under which `enforce` refuses them. */
  readonly kind:
    | 'trust-raised'
    | 'taint-dropped'
    | 'trace-differs'
    | 'identity-conflict'
    | 'identity-switched'
    | 'unlisted-root'
  readonly code: Extract<
    KestErrorCode,
    | 'ERR_KEST_TRUST_RAISED'
    | 'ERR_KEST_TAINT_DROPPED'
    | 'ERR_KEST_TRACE'
    | 'ERR_KEST_IDENTITY_CONFLICT'
    | 'ERR_KEST_ROOT'
  >
  readonly index: number | null
  readonly entryId: string | null
  readonly message: string
}

/** What an entry is worth by its lineage alone, before the reader's lists and ceilings lower it (K-ROOTS). */
export interface PlainValues {
  readonly trustScore: number
  /** Sorted by code point. */
  readonly taints: readonly string[]
}

/**
 * An entry whose place in a passport has been checked. Values are the *effective* ones (K-EFF): recomputed from the
 * lineage, not believed.
 */
export interface VerifiedEntry {
  readonly jws: string
  /** SHA-256 of `jws`, lowercase hex. */
  readonly hash: string
  readonly entry: KestEntry
  /** The principal, and whether its signature was checked here: false for ancestors in mode `tip`, and in mode `off`. */
  readonly principal: string
  readonly proven: boolean
  readonly alg: JwsAlgorithm
  /** Name of the key source that vouched; `self` for entries of this process, `none` when not proven. */
  readonly keySource: string
  readonly trustScore: number
  /** Sorted by code point. */
  readonly taints: readonly string[]
  /** A statement that counts, or what the parents agree on, part by part (K-SWITCH); `null` when that is nobody. */
  readonly identity: IdentityContext | null
  /** The principal that stated `identity`: of its parts, the one that was stated last. */
  readonly identityBy: string | null
  /** Who acts as labels say, whether or not they count: what unsigned baggage is compared with. */
  readonly claimedIdentity: IdentityContext | null
  readonly plain: PlainValues
}
