import type { KestErrorCode, ParsedDenial } from '@kest/core'
import { type ExportedSpan, placeText } from '../span/exported-span.js'

/**
 * An operation that was refused. `signed`: its principal has signed that (K-DENIAL). `unsigned`: a span says so, and it is no evidence
 * (K-AUDIT). `failed`: a span says so, and what it has for a signed denial does not hold.
 */
export type DenialProof = 'signed' | 'unsigned' | 'failed'

/** An operation that was refused. What is signed of it is a fact where its `proof` says so; all else is a span's word. */
export interface Denial {
  readonly proof: DenialProof
  readonly operation: string | null
  /** The principal. */
  readonly workloadId: string | null
  /** The id that the entry would have had. */
  readonly entryId: string | null
  readonly code: string | null
  /** A span's word, always. */
  readonly reason: string | null
  /** `service.name` of its span, unsigned: anyone can write anything there. */
  readonly service: string | null
  readonly place: string
  /** Hashes of what it was to build on; of an unsigned one, the first 8. */
  readonly parents: readonly string[]
  /** What is signed; `null` unless it is. */
  readonly signed: SignedDenial | null
}

/** What only a signed denial has. */
export interface SignedDenial {
  readonly jws: string
  readonly hash: string
  /** Policies that did not allow. */
  readonly policies: readonly string[]
  /** `<process uuid>:<n>`, counting the signed denials of a principal in a process. */
  readonly number: string
  /** How many refusals before it were not signed, as there were too many. */
  readonly unsigned: number
  readonly timestampMs: number
}

/** Parents that are kept: strangers write them, and a thousand denials of each trace. */
const MAX_PARENTS = 8
const HASH = /^[0-9a-f]{64}$/

/** What was denied has no entry, and so neither a hash nor a passport: a span with these was one of an entry. */
export function isDenial(span: ExportedSpan): boolean {
  return span.claims.decision === 'deny' && !hasEntry(span)
}

/** Whether a span names an entry as its own. */
export function hasEntry({ claims: { chainTip, passport } }: ExportedSpan): boolean {
  return chainTip !== undefined || passport !== undefined
}

export function denialOf({ claims, service, place }: ExportedSpan, proof: DenialProof = 'unsigned'): Denial {
  return Object.freeze({
    proof,
    operation: textOf(claims.operation),
    workloadId: textOf(claims.workloadId),
    entryId: textOf(claims.entryId),
    code: textOf(claims.errorType),
    reason: textOf(claims.reason),
    service,
    place: placeText(place),
    parents: parentsOf(claims.parentHash),
    signed: null,
  })
}

/** A denial of a span, as it is signed. */
export interface DraftedDenial {
  readonly parsed: ParsedDenial
  /** What its span says. */
  readonly said: Denial
  /** In what its span says something else. */
  readonly differing: readonly string[]
}

/** Of one that its principal has signed. */
export function provenDenial({ parsed, said: { reason, service, place } }: DraftedDenial): Denial {
  const { jws, hash, denial } = parsed
  const { principal, operation, denial_id, code, parents, policies, n, unsigned, timestamp_ms } = denial
  return Object.freeze({
    proof: 'signed',
    operation,
    workloadId: principal,
    entryId: denial_id,
    code,
    reason,
    service,
    place,
    parents,
    signed: Object.freeze({
      jws,
      hash,
      policies,
      number: n,
      unsigned: unsigned ?? 0,
      timestampMs: timestamp_ms,
    }),
  })
}

/** Of one that nobody has shown to be its principal's. */
export function failedDenial({ said }: DraftedDenial): Denial {
  return Object.freeze({ ...said, proof: 'failed' })
}

/** Names of what a span says otherwise than the denial in it. What either leaves out is no difference. */
export function denialDifferences({ claims }: ExportedSpan, { denial }: ParsedDenial): readonly string[] {
  const names: string[] = []
  const compare = (of: string, claimed: unknown, signed: string | null): void => {
    if (claimed !== undefined && signed !== null && claimed !== signed) names.push(of)
  }
  compare('kest.decision', claims.decision, 'deny')
  compare('kest.entry_id', claims.entryId, denial.denial_id)
  compare('kest.operation', claims.operation, denial.operation)
  compare('kest.workload_id', claims.workloadId, denial.principal)
  compare('error.type', claims.errorType, denial.code satisfies KestErrorCode | (string & {}))
  compare('kest.trace_id', claims.traceId, denial.trace_id)
  compare(
    'kest.parent_hash',
    claims.parentHash,
    denial.parents.length === 0 ? null : denial.parents.join(','),
  )
  return names
}

function parentsOf(claim: unknown): readonly string[] {
  if (typeof claim !== 'string') return Object.freeze([])
  // A part of a string would hold all of it in memory.
  const first = Buffer.from(claim.slice(0, 65 * MAX_PARENTS), 'latin1').toString('latin1')
  return Object.freeze(first.split(',', MAX_PARENTS).filter((hash) => HASH.test(hash)))
}

function textOf(claim: unknown): string | null {
  return typeof claim === 'string' ? claim : null
}
