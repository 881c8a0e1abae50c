import { type KestEntry, LABEL, RUNTIME_NAME } from '../entry/entry.js'
import type { IdentityContext } from '../passport/verified.js'
import { type EffectiveParent, type EffectiveRules, principalOf, type Remarks } from './effective-rules.js'
import { IDENTITY_PARTS, type IdentityPart } from './identity-authorities.js'
import { parseIdentityLabel } from './identity-label.js'
import { UNPROVEN_TAINT } from './reserved.js'

/** Who acts, as an entry and its lineage say. */
export interface EffectiveIdentity {
  readonly identity: IdentityContext | null
  readonly identityBy: string | null
  /** As labels say, whoever may say so: what unsigned baggage is compared with. */
  readonly claimed: IdentityContext | null
  /** Whether somebody was signed in without the authority for it. */
  readonly switched: boolean
}

type Parts = Record<IdentityPart, string | null>

const NOBODY: IdentityContext = Object.freeze({ user: null, agent: null, task: null })

/**
 * Who acts, part by part (K-SWITCH). A root states it if its principal may. Any other entry inherits what its parents
 * agree on, unless it makes a statement of its own that counts; one that does not count leaves nobody.
 *
 * @throws {KestError} `ERR_KEST_ENTRY_SCHEMA` when the label `kest.identity` is malformed, which no parsed entry's is
 */
export function identityOf(
  entry: KestEntry,
  parents: readonly EffectiveParent[],
  rules: EffectiveRules,
  remarks: Remarks,
): EffectiveIdentity {
  const label = entry.labels[LABEL.identity]
  const says = label === undefined ? null : parseIdentityLabel(label)
  if (parents.length === 0) return ofRoot(entry, says, rules)
  const has = agreed(parents, identityIn)
  const copied = agreed(parents, claimIn)
  const identityBy = byOf(has.identity, parents)
  if (says === null || says === has.identity || (says === copied.identity && !isMarked(entry, rules))) {
    conflict(has.disputed, remarks)
    return { identity: has.identity, identityBy, claimed: copied.identity, switched: false }
  }
  const claimed = overlay(says, copied.identity)
  const statement = statedOver(entry, says, has.identity, copied.identity, rules)
  if (statement === 'unauthorised') {
    const message = `${principalOf(entry)} signs in another than its lineage names, and may not`
    remarks.add('identity-switched', message)
    return { identity: null, identityBy: null, claimed, switched: true }
  }
  conflict(
    has.disputed.filter((part) => !statement.stated.includes(part)),
    remarks,
  )
  if (statement.stated.length === 0) return { identity: has.identity, identityBy, claimed, switched: false }
  const identity = orNull(statement.parts)
  return { identity, identityBy: identity === null ? null : principalOf(entry), claimed, switched: false }
}

function ofRoot(entry: KestEntry, says: IdentityContext | null, rules: EffectiveRules): EffectiveIdentity {
  const claimed = says === null ? null : orNull(says)
  const principal = principalOf(entry)
  const none = { identity: null, identityBy: null, claimed, switched: false }
  if (claimed === null) return none
  if (!mayBegin(entry, rules)) return none
  const barred = IDENTITY_PARTS.filter(
    (part) => claimed[part] !== null && !rules.mayBeginIdentity(principal, part),
  )
  const identity = barred.length === 0 ? claimed : orNull(without(claimed, barred))
  return { ...none, identity, identityBy: identity === null ? null : principal }
}

/**
 * Where there is a list it says whose roots may name somebody (K-ROOTS). In its own process a workload that was called without
 * lineage needs no listing: nobody is named there but by a token that it has validated itself (K-OPTIONAL).
 */
function mayBegin(root: KestEntry, { roots, own = false }: EffectiveRules): boolean {
  if (roots === null || (own && root.taints.includes(UNPROVEN_TAINT))) return true
  return roots.grantOf(principalOf(root))?.identity === true
}

interface Statement {
  readonly parts: Parts
  /** Those that the entry's principal has changed, and may. */
  readonly stated: readonly IdentityPart[]
}

function statedOver(
  entry: KestEntry,
  says: IdentityContext,
  has: IdentityContext | null,
  copied: IdentityContext | null,
  rules: EffectiveRules,
): Statement | 'unauthorised' {
  const parts: Parts = { ...(has ?? NOBODY) }
  const stated: IdentityPart[] = []
  for (const part of IDENTITY_PARTS) {
    if (says[part] === parts[part] || !isStatement(entry, part, says, has, copied, rules)) continue
    const may = rules.mayStateIdentity(principalOf(entry), part)
    if (!may && says[part] === null) continue
    if (!may) return 'unauthorised'
    parts[part] = says[part]
    stated.push(part)
  }
  return { parts, stated }
}

/**
 * Whether a label that differs from what the lineage gives is the signer's own word. Where it is not marked so, a label that
 * repeats those before it is a copy. Of what is neither, peers (who do not mark) say all of it; ours have put a part of a
 * token's beside the lineage's, which binds nobody else, unless they contradict the lineage.
 */
function isStatement(
  entry: KestEntry,
  part: IdentityPart,
  says: IdentityContext,
  has: IdentityContext | null,
  copied: IdentityContext | null,
  rules: EffectiveRules,
): boolean {
  if (isMarked(entry, rules)) return true
  if (says[part] === (copied?.[part] ?? null)) return false
  if (entry.runtime.name !== RUNTIME_NAME) return true
  return says[part] !== null && (has?.[part] ?? null) !== null
}

/** What this process itself makes is its word, whatever it tells others. */
function isMarked({ labels }: KestEntry, { own = false }: EffectiveRules): boolean {
  return own || labels[LABEL.identityStated] === 'true'
}

interface Agreement {
  readonly identity: IdentityContext | null
  readonly disputed: readonly IdentityPart[]
}

const UNDISPUTED: readonly IdentityPart[] = Object.freeze([])

const identityIn = (parent: EffectiveParent): IdentityContext | null => parent.identity
const claimIn = (parent: EffectiveParent): IdentityContext | null => parent.claimedIdentity

/** Part by part what all say; a part that they disagree on is null. "Nobody" is an opinion, too. */
function agreed(
  parents: readonly EffectiveParent[],
  of: (parent: EffectiveParent) => IdentityContext | null,
): Agreement {
  const first = parents[0] === undefined ? null : of(parents[0])
  if (parents.length === 1) return { identity: first, disputed: UNDISPUTED }
  if (parents.every((parent) => of(parent) === first)) return { identity: first, disputed: UNDISPUTED }
  const disputed = IDENTITY_PARTS.filter((part) =>
    parents.some((parent) => (of(parent)?.[part] ?? null) !== (first?.[part] ?? null)),
  )
  if (disputed.length === 0 || first === null) return { identity: first, disputed }
  return { identity: orNull(without(first, disputed)), disputed }
}

function conflict(disputed: readonly IdentityPart[], remarks: Remarks): void {
  if (disputed.length > 0) remarks.add('identity-conflict', 'its parents disagree on who acts')
}

function byOf(identity: IdentityContext | null, parents: readonly EffectiveParent[]): string | null {
  return identity === null ? null : (parents[0]?.identityBy ?? null)
}

/** What a label leaves open is as before. */
function overlay(says: IdentityContext, before: IdentityContext | null): IdentityContext | null {
  if (before === null) return orNull(says)
  const parts: Parts = { ...NOBODY }
  for (const part of IDENTITY_PARTS) parts[part] = says[part] ?? before[part]
  return orNull(parts)
}

function without(identity: IdentityContext, barred: readonly IdentityPart[]): Parts {
  const parts: Parts = { ...identity }
  for (const part of barred) parts[part] = null
  return parts
}

/** An identity without parts is none. */
function orNull(identity: IdentityContext): IdentityContext | null {
  if (IDENTITY_PARTS.every((part) => identity[part] === null)) return null
  return Object.isFrozen(identity) ? identity : Object.freeze(identity)
}
