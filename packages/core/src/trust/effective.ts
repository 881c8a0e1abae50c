import { type KestEntry, LABEL } from '../entry/entry.js'
import { KestError } from '../errors.js'
import type { Finding, IdentityContext, VerifiedEntry } from '../passport/verified.js'
import { parseIdentityLabel, sameIdentity } from './identity-label.js'
import { sortedTaints } from './taints.js'

const NONE: readonly never[] = Object.freeze([])
/** Taints that an entry may have in effect (K-LIMIT): they are inherited, and so would grow with every parent. */
const MAX_TAINTS = 256
const DECIMAL = /^(?:0|-?[1-9][0-9]{0,14})$/

/** Whose word counts for what (K-EFF, K-DOMAIN). */
export interface EffectiveRules {
  /** Whether a principal may raise trust and remove taints. */
  mayRaise(principal: string): boolean
  /** The most trust that an entry of a principal can have; `undefined`: no bound. */
  ceiling(principal: string): number | undefined
}

/** What an entry is worth, recomputed from its parents (K-EFF). */
export interface EffectiveValues {
  readonly trustScore: number
  /** Sorted by code point. */
  readonly taints: readonly string[]
  readonly identity: IdentityContext | null
  /** The principal that stated `identity` first. */
  readonly identityBy: string | null
  /** Where the entry claims otherwise. */
  readonly findings: readonly Pick<Finding, 'code' | 'message'>[]
}

/**
 * Recomputes trust, taints and identity of an entry (K-EFF): what it claims is a bound, never a gain. A raise of
 * trust counts only with the label `kest.trust_override`, the removal of a taint only with that or with
 * `kest.sanitizer`, and both only from a principal that may; otherwise it is ignored and reported.
 *
 * @param parents the verified parents, in the order of `parent_ids`; empty for a root
 * @throws {KestError} `ERR_KEST_LIMIT` for more than 256 taints; `ERR_KEST_ENTRY_SCHEMA` when the label `kest.identity` is malformed, which no parsed entry's is.
 */
export function effectiveOf(
  entry: KestEntry,
  parents: readonly VerifiedEntry[],
  rules: EffectiveRules,
): EffectiveValues {
  const findings: Pick<Finding, 'code' | 'message'>[] = []
  const { identity, identityBy } = effectiveIdentity(entry, parents, findings)
  return {
    trustScore: effectiveTrust(entry, parents, rules, findings),
    taints: effectiveTaints(entry, parents, rules, findings),
    identity,
    identityBy,
    findings: findings.length === 0 ? NONE : findings,
  }
}

function effectiveTrust(
  entry: KestEntry,
  parents: readonly VerifiedEntry[],
  rules: EffectiveRules,
  findings: Pick<Finding, 'code' | 'message'>[],
): number {
  const principal = principalOf(entry)
  const claimed = entry.trust_score
  const ceiling = rules.ceiling(principal) ?? 100
  let inherited = 100
  for (const parent of parents) inherited = Math.min(inherited, parent.trustScore)
  if (claimed <= inherited || (overrides(entry) && rules.mayRaise(principal)))
    return Math.min(claimed, ceiling)
  findings.push({
    code: 'ERR_KEST_TRUST_RAISED',
    message: `claims trust ${claimed}; its lineage gives ${inherited}`,
  })
  return Math.min(inherited, ceiling)
}

function effectiveTaints(
  entry: KestEntry,
  parents: readonly VerifiedEntry[],
  rules: EffectiveRules,
  findings: Pick<Finding, 'code' | 'message'>[],
): readonly string[] {
  for (const { length } of [entry.taints, entry.added_taints, entry.removed_taints]) assertFewTaints(length)
  const taints = new Set(entry.taints)
  const dropped: string[] = []
  for (const taint of givenTaints(entry, parents, rules)) {
    if (taints.has(taint)) continue
    taints.add(taint)
    dropped.push(taint)
  }
  if (dropped.length > 0) {
    findings.push({
      code: 'ERR_KEST_TAINT_DROPPED',
      message: `does not claim ${list(dropped)}, which its lineage gives`,
    })
  }
  assertFewTaints(taints.size)
  return sortedTaints(taints)
}

function assertFewTaints(count: number): void {
  if (count <= MAX_TAINTS) return
  throw new KestError(
    'ERR_KEST_LIMIT',
    `an entry with ${count} taints; at most ${MAX_TAINTS} are accepted (K-LIMIT)`,
  )
}

/** What the entry cannot but have: what it adds, and what its parents have and it may not, or does not, remove. */
function givenTaints(
  entry: KestEntry,
  parents: readonly VerifiedEntry[],
  rules: EffectiveRules,
): Iterable<string> {
  if (parents.every((parent) => parent.taints.length === 0)) return entry.added_taints
  const given = new Set<string>()
  for (const parent of parents) for (const taint of parent.taints) given.add(taint)
  if (mayRemove(entry, rules)) for (const taint of entry.removed_taints) given.delete(taint)
  for (const taint of entry.added_taints) given.add(taint)
  return given
}

/** For a message: a few names, and how many more. */
function list(names: readonly string[]): string {
  const shown = sortedTaints(new Set(names.slice(0, 5))).map((name) => JSON.stringify(name).slice(0, 64))
  return names.length > 5 ? `${shown.join(', ')} and ${names.length - 5} more` : shown.join(', ')
}

/** The own statement, unless it repeats what the parents agree on; else what they agree on (K-IDENT). */
function effectiveIdentity(
  entry: KestEntry,
  parents: readonly VerifiedEntry[],
  findings: Pick<Finding, 'code' | 'message'>[],
): Pick<EffectiveValues, 'identity' | 'identityBy'> {
  const [first, ...others] = parents
  const agreed = others.every((other) => sameIdentity(other.identity, first?.identity ?? null))
  const inherited = agreed ? (first?.identity ?? null) : null
  const label = entry.labels[LABEL.identity]
  if (label !== undefined) {
    const stated = parseIdentityLabel(label)
    if (!sameIdentity(stated, inherited)) return { identity: stated, identityBy: principalOf(entry) }
  } else if (!agreed) {
    findings.push({ code: 'ERR_KEST_IDENTITY_CONFLICT', message: 'its parents disagree on who acts' })
  }
  return { identity: inherited, identityBy: inherited === null ? null : (first?.identityBy ?? null) }
}

/** The label says what was set, so a label that says another number than the entry claims says nothing (K-OVERRIDE). */
function overrides(entry: KestEntry): boolean {
  const label = entry.labels[LABEL.trustOverride]
  if (label === undefined || !DECIMAL.test(label)) return false
  return Math.min(100, Math.max(0, Number(label))) === entry.trust_score
}

function mayRemove(entry: KestEntry, rules: EffectiveRules): boolean {
  if (entry.removed_taints.length === 0) return false
  return (overrides(entry) || entry.labels[LABEL.sanitizer] === 'true') && rules.mayRaise(principalOf(entry))
}

function principalOf(entry: KestEntry): string {
  return entry.labels[LABEL.principal] as string
}
