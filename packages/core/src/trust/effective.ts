import type { KestEntry } from '../entry/entry.js'
import type { IdentityContext, PlainValues } from '../passport/verified.js'
import { identityOf } from './effective-identity.js'
import {
  type EffectiveParent,
  type EffectiveRules,
  principalOf,
  type Remark,
  Remarks,
} from './effective-rules.js'
import { effectiveTaintsOf, plainTaintsOf } from './effective-taints.js'
import { trustOf } from './effective-trust.js'
import { IDENTITY_SWITCHED_TAINT, UNLISTED_ROOT_TAINT, UNPROVEN_TAINT } from './reserved.js'

/** What an entry is worth, recomputed from its parents (K-EFF). */
export interface EffectiveValues {
  readonly trustScore: number
  /** Sorted by code point. */
  readonly taints: readonly string[]
  readonly identity: IdentityContext | null
  /** The principal that stated `identity`. */
  readonly identityBy: string | null
  /** Who acts as labels say, whoever may say so. */
  readonly claimedIdentity: IdentityContext | null
  /** What follows without the reader's lists and ceilings. */
  readonly plain: PlainValues
  /** Where the entry claims otherwise. */
  readonly findings: readonly Remark[]
}

/**
 * Recomputes trust, taints and identity of an entry (K-EFF): what it claims is a bound, never a gain. A raise of
 * trust counts only with the label `kest.trust_override`, the removal of a taint only with that or with
 * `kest.sanitizer`, and both only from a principal that may; otherwise it is ignored and reported. What a root is worth, and
 * whether it may say who acts, is decided by the reader's list (K-ROOTS); whether another entry may, by whom it names as
 * authorities (K-SWITCH).
 *
 * @param parents the verified parents, in the order of `parent_ids`; empty for a root
 * @param proven whether the entry's signature was checked: a root of which it was not begins nothing where there is a list
 * @throws {KestError} `ERR_KEST_LIMIT` for more than 256 taints; `ERR_KEST_ENTRY_SCHEMA` when the label `kest.identity` is malformed, which no parsed entry's is.
 */
export function effectiveOf(
  entry: KestEntry,
  parents: readonly EffectiveParent[],
  rules: EffectiveRules,
  proven = true,
): EffectiveValues {
  const remarks = new Remarks()
  const plain = plainTaintsOf(entry, parents, rules, remarks)
  const unlisted = parents.length === 0 && isUnlisted(entry, rules, proven) && !plain.includes(UNPROVEN_TAINT)
  if (unlisted)
    remarks.add('unlisted-root', `${principalOf(entry)} began it, and is not listed among its roots`)
  // Nobody proved who an unproven entry is by: it states nothing, and so is blamed for nothing.
  const who = identityOf(entry, parents, rules, proven ? remarks : new Remarks())
  const taints = effectiveTaintsOf(plain, parents, [
    unlisted && UNLISTED_ROOT_TAINT,
    proven && who.switched && IDENTITY_SWITCHED_TAINT,
  ])
  const trust = trustOf(entry, parents, { plain, effective: taints }, rules, unlisted, remarks)
  return {
    trustScore: trust.effective,
    taints,
    identity: proven ? who.identity : null,
    identityBy: proven ? who.identityBy : null,
    claimedIdentity: who.claimed,
    plain: { trustScore: trust.plain, taints: plain },
    findings: remarks.list,
  }
}

/** Whether the reader's list does not let this root begin lineage (K-ROOTS). */
function isUnlisted(root: KestEntry, { roots }: EffectiveRules, proven: boolean): boolean {
  return roots !== null && (!proven || roots.grantOf(principalOf(root)) === undefined)
}
