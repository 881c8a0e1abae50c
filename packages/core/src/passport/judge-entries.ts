import { atEntry } from '../entry/at-entry.js'
import { LABEL } from '../entry/entry.js'
import { PassportVerificationError } from '../errors.js'
import { effectiveOf } from '../trust/effective.js'
import { type EffectiveParent, type EffectiveRules, type Remark, remark } from '../trust/effective-rules.js'
import { sameIdentity } from '../trust/identity-label.js'
import type { CheckedEntry, LinkedEntry } from './stages.js'
import type { Finding, VerifiedEntry } from './verified.js'

/** Taint of everything in mode `off`. */
export const UNVERIFIED_TAINT = 'unverified'
const UNVERIFIED: readonly string[] = Object.freeze([UNVERIFIED_TAINT])
const NOTHING = Object.freeze({ trustScore: 0, taints: UNVERIFIED })

/** Where differences between what is claimed and what holds go: into a list, or up (K-SEM). */
export class Findings {
  readonly list: Finding[] = []
  readonly #enforce: boolean

  constructor(semantics: 'report' | 'enforce') {
    this.#enforce = semantics === 'enforce'
  }

  /** @throws {PassportVerificationError} when semantics are enforced */
  add({ kind, code, message }: Remark, at: LinkedEntry | null): void {
    const index = at?.index ?? null
    const entryId = at?.parsed.entry.entry_id ?? null
    const text = index === null ? `passport: ${message}` : `entry ${index}: ${message}`
    if (this.#enforce) throw new PassportVerificationError(code, text, { index, entryId })
    this.list.push(Object.freeze({ kind, code, index, entryId, message: text }))
  }
}

/** Effective values of entries whose signatures hold, parents first (K-EFF), and one trace id for all (K-TRACE). */
export function judgeEntries(
  entries: readonly CheckedEntry[],
  rules: EffectiveRules,
  findings: Findings,
): VerifiedEntry[] {
  const verified: VerifiedEntry[] = []
  const traces = new TraceIds(findings)
  for (const checked of entries) {
    const { linked } = checked.bound
    const parents = linked.parents.map(({ index }) => verified[index] as VerifiedEntry)
    verified.push(judgeEntry(checked, parents, rules, findings))
    traces.see(linked)
  }
  return verified
}

/** Effective values of one entry, of its verified parents. */
export function judgeEntry(
  { bound, proven }: CheckedEntry,
  parents: readonly EffectiveParent[],
  rules: EffectiveRules,
  findings: Findings,
): VerifiedEntry {
  const { linked, source } = bound
  const { parsed } = linked
  // Nobody proved who an unproven entry is by: its word gains nothing.
  const effective = judged(linked, () =>
    effectiveOf(parsed.entry, parents, proven ? rules : { ...rules, mayRaise: () => false }, proven),
  )
  for (const finding of effective.findings) findings.add(finding, linked)
  return Object.freeze({
    jws: parsed.jws,
    hash: parsed.hash,
    entry: parsed.entry,
    principal: linked.principal,
    proven,
    alg: parsed.header.alg,
    keySource: proven ? source.name : 'none',
    trustScore: effective.trustScore,
    taints: effective.taints,
    identity: effective.identity,
    identityBy: effective.identityBy,
    claimedIdentity: effective.claimedIdentity,
    plain: effective.plain,
  })
}

/** Mode `off`: the form is right, and that is all. */
export function believeNothing(entries: readonly LinkedEntry[]): VerifiedEntry[] {
  return entries.map(({ parsed, principal }) =>
    Object.freeze({
      jws: parsed.jws,
      hash: parsed.hash,
      entry: parsed.entry,
      principal,
      proven: false,
      alg: parsed.header.alg,
      keySource: 'none',
      trustScore: 0,
      taints: UNVERIFIED,
      identity: null,
      identityBy: null,
      claimedIdentity: null,
      plain: NOTHING,
    }),
  )
}

/** Whether all tips say the same of who acts (K-IDENT); a passport whose tips do not has no identity. */
export function agreeOnIdentity(tips: readonly VerifiedEntry[], findings: Findings): boolean {
  const agree = tips.every((tip) => sameIdentity(tip.identity, tips[0]?.identity ?? null))
  if (!agree) findings.add(remark('identity-conflict', 'its tips disagree on who acts'), null)
  return agree
}

class TraceIds {
  readonly #findings: Findings
  #first: string | undefined

  constructor(findings: Findings) {
    this.#findings = findings
  }

  see(linked: LinkedEntry): void {
    const traceId = linked.parsed.entry.labels[LABEL.traceId]
    this.#first ??= traceId
    if (traceId !== undefined && traceId !== this.#first) {
      this.#findings.add(remark('trace-differs', 'its trace_id is not that of the entries before'), linked)
    }
  }
}

function judged<T>({ index, parsed }: LinkedEntry, judge: () => T): T {
  try {
    return judge()
  } catch (error) {
    throw atEntry(error, index, parsed.entry.entry_id, 'ERR_KEST_ENTRY_SCHEMA')
  }
}
