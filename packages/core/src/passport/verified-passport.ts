import { LABEL } from '../entry/entry.js'
import { sameIdentity } from '../trust/identity-label.js'
import { sortedTaints } from '../trust/taints.js'
import { Lineage } from './lineage.js'
import { Passport } from './passport.js'
import type { Finding, IdentityContext, VerifiedEntry } from './verified.js'
import type { VerifyMode } from './verify-options.js'

/** What a verification established. */
export interface VerifiedFacts {
  readonly entries: readonly VerifiedEntry[]
  readonly tips: readonly VerifiedEntry[]
  /** Whether the tips agree on who acts. */
  readonly agreed: boolean
  readonly findings: readonly Finding[]
  readonly mode: VerifyMode
  readonly time: 'self-asserted' | 'fixed'
}

/** @internal Makes a {@link VerifiedPassport}; only the verifier does. */
export let sealPassport: (facts: VerifiedFacts) => VerifiedPassport

const SEAL = Symbol('verified')

/**
 * A passport that was verified, by {@link verifyPassport} alone. What `mode` says it proves: in `full`, every entry was
 * signed by its principal; in `tip`, the tips were; in `off`, nothing.
 */
export class VerifiedPassport {
  /** In passport order. */
  readonly entries: readonly VerifiedEntry[]
  /** Entries that no other entry names as a parent. */
  readonly tips: readonly VerifiedEntry[]
  /** Principals whose signature was checked, each once, in order. */
  readonly principals: readonly string[]
  /** The least effective trust of the tips (K-EFF); `null` for an empty passport. */
  readonly trustScore: number | null
  /** Effective taints of all tips, sorted by code point. */
  readonly taints: readonly string[]
  /** Who acts, as all tips agree (K-SWITCH); `null` when nobody said whose word counts, or they disagree. */
  readonly identity: IdentityContext | null
  /** The principal that stated `identity`. */
  readonly identityBy: string | null
  /** Who acts as all tips' labels say, whether or not their word counts: never to act upon. */
  readonly claimedIdentity: IdentityContext | null
  /** The trace id of all entries that have one; `null` when none has, or they differ. */
  readonly traceId: string | null
  /** Claims that the lineage does not bear out (K-SEM). */
  readonly findings: readonly Finding[]
  readonly mode: VerifyMode
  /** Whether certificates were judged at a time that the verifier chose, or at the time that each signer states. */
  readonly time: 'self-asserted' | 'fixed'

  static {
    sealPassport = (facts): VerifiedPassport => new VerifiedPassport(SEAL, facts)
  }

  private constructor(seal: symbol, facts: VerifiedFacts) {
    if (seal !== SEAL) throw new TypeError('a VerifiedPassport comes from verifyPassport()')
    const { entries, tips, agreed } = facts
    this.entries = Object.freeze([...entries])
    this.tips = Object.freeze([...tips])
    this.principals = provenPrincipals(entries)
    this.trustScore = tips.length === 0 ? null : Math.min(...tips.map((tip) => tip.trustScore))
    // Those of one entry are sorted already.
    this.taints =
      tips.length === 1
        ? (tips[0] as VerifiedEntry).taints
        : sortedTaints(new Set(tips.flatMap((tip) => tip.taints)))
    this.identity = agreed ? (tips[0]?.identity ?? null) : null
    this.identityBy = agreed ? (tips[0]?.identityBy ?? null) : null
    this.claimedIdentity = commonClaim(tips)
    this.traceId = commonTraceId(entries)
    this.findings = Object.freeze([...facts.findings])
    this.mode = facts.mode
    this.time = facts.time
    Object.freeze(this)
  }

  /** As what a frame holds (K-FLOW). */
  lineage(): Lineage {
    return Lineage.of(this.entries, this.tips)
  }

  /** The wire form again. */
  toPassport(): Passport {
    return new Passport(this.entries.map(({ jws }) => jws))
  }
}

function provenPrincipals(entries: readonly VerifiedEntry[]): readonly string[] {
  const principals = new Set<string>()
  for (const { proven, principal } of entries) if (proven) principals.add(principal)
  return Object.freeze([...principals])
}

function commonClaim([first, ...others]: readonly VerifiedEntry[]): IdentityContext | null {
  const claim = first?.claimedIdentity ?? null
  return others.every((other) => sameIdentity(other.claimedIdentity, claim)) ? claim : null
}

function commonTraceId(entries: readonly VerifiedEntry[]): string | null {
  let common: string | null = null
  for (const { entry } of entries) {
    const traceId = entry.labels[LABEL.traceId]
    if (traceId === undefined || traceId === common) continue
    if (common !== null) return null
    common = traceId
  }
  return common
}
