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
  readonly code: Extract<
    KestErrorCode,
    'ERR_KEST_TRUST_RAISED' | 'ERR_KEST_TAINT_DROPPED' | 'ERR_KEST_TRACE' | 'ERR_KEST_IDENTITY_CONFLICT'
  >
  readonly index: number | null
  readonly entryId: string | null
  readonly message: string
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
  /** Own label, or what the parents agree on; `null` when nobody stated one or the parents disagree. */
  readonly identity: IdentityContext | null
  /** The principal that stated `identity`. */
  readonly identityBy: string | null
}
