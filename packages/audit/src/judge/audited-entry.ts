import type { EntryVerdict, IdentityContext, KestEntry, KestErrorCode, Passport } from '@kest/core'
import type { AuditFinding } from '../finding.js'
import type { Denial } from './denial.js'
import type { Receipt } from './receipt.js'

/**
 * What holds of an entry. `verified`: its principal has signed it, and so it is with all that it builds on. `signed`: its
 * principal has signed it, but something that it builds on is missing or does not hold. `failed`: nobody has shown who
 * signed it, and nothing that it says is a fact.
 */
export type EntryStatus = 'verified' | 'signed' | 'failed'

/** One entry of a trace: facts from what is signed, and what is unsigned beside them. */
export interface AuditedEntry {
  readonly hash: string
  readonly jws: string
  /** Of a very large trace, read anew each time that it is asked for. */
  readonly entry: KestEntry
  readonly entryId: string
  /** Hashes of what it builds on; a root has none. */
  readonly parents: readonly string[]
  readonly timestampMs: number
  readonly status: EntryStatus
  /** The signer: of a failed entry, whom it claims to be by. */
  readonly principal: string
  /** The principal, short: the path of a SPIFFE ID. */
  readonly service: string
  /** Effective (K-EFF); `null` unless it is verified. */
  readonly trustScore: number | null
  /** Effective, sorted by code point; empty unless it is verified. */
  readonly taints: readonly string[]
  readonly identity: IdentityContext | null
  /** The principal that stated it. */
  readonly identityBy: string | null
  /** Whether no other entry names it as a parent. */
  readonly tip: boolean
  /** Hash of the operation's entry, of one that says how that has ended, and is none itself (K-OUTCOME); else `null`. */
  readonly outcomeOf: string | null
  /** Spans that it was exported in; none when only a passport or another trace has it. */
  readonly spans: number
  readonly source: 'span' | 'passport' | 'foreign'
  /** `service.name` of its first span, unsigned: anyone can write anything there. */
  readonly claimedService: string | null
  /** Why it failed. */
  readonly failure: KestErrorCode | null
}

/**
 * What the spans of a trace amount to. `verified`: every entry holds, and none is missing that another entry or a span
 * names. `incomplete`: what is there holds, and something is missing. `broken`: something does not hold. `empty`: there is
 * no entry, and so no proof of anything.
 */
export type Verdict = 'verified' | 'incomplete' | 'broken' | 'empty'

export interface TraceReport {
  /** As its entries name it; `null` when they name none. */
  readonly traceId: string | null
  readonly verdict: Verdict
  /** Whether a witness has received every span, so that the times of entries are bounded by more than their signers' word. */
  readonly time: 'witnessed' | 'self-asserted'
  /** In a passport's order. */
  readonly entries: readonly AuditedEntry[]
  /** Hashes of the entries that nothing builds on, failed ones and outcomes left out. */
  readonly tips: readonly string[]
  /** The lineage, without what says how operations have ended, when the verdict is `verified`. */
  readonly passport: Passport | null
  /** Those that are signed, and of the others the first 1,000. */
  readonly denials: readonly Denial[]
  /** All there are. */
  readonly denialCount: number
  /** What neighbours hold of each other (K-RECEIPT): those that hold. */
  readonly receipts: readonly Receipt[]
  /** Of each code the first 1,000, and a last one that stands for all others. */
  readonly findings: readonly AuditFinding[]
}

export function statusOf({ failure, verified }: EntryVerdict): EntryStatus {
  if (failure !== null) return 'failed'
  return verified === null ? 'signed' : 'verified'
}

const SPIFFE_PATH = /^spiffe:\/\/[^/]+\/(.+)$/

/** A principal's name as short as it is still its own: the path of a SPIFFE ID. */
export function serviceOf(principal: string): string {
  return SPIFFE_PATH.exec(principal)?.[1] ?? principal
}
