import { LABEL, parseRevisionsLabel } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import type { AuditedEntry, TraceReport } from '../judge/audited-entry.js'
import type { Denial } from '../judge/denial.js'
import type { Receipt } from '../judge/receipt.js'

/** A trace as `kest audit --json` writes it. Texts are as strangers wrote them: escape them for where they are shown. */
export interface TraceJson {
  readonly trace_id: string | null
  readonly verdict: TraceReport['verdict']
  readonly time: TraceReport['time']
  readonly tips: readonly string[]
  readonly entries: readonly EntryJson[]
  readonly denials: readonly DenialJson[]
  /** When there are more than are listed. */
  readonly denial_count?: number
  /** What others hold of it, where they hold anything. */
  readonly receipts?: readonly ReceiptJson[]
  readonly findings: readonly FindingJson[]
}

export interface EntryJson {
  readonly hash: string
  readonly status: AuditedEntry['status']
  readonly service: string
  readonly principal: string
  readonly entry_id: string
  readonly operation: string
  readonly parent_ids: readonly string[]
  readonly timestamp_ms: number
  readonly trust_score: number | null
  readonly taints: readonly string[]
  readonly identity: AuditedEntry['identity']
  readonly identity_by: string | null
  /** Which texts of policies decided, where the entry says it. */
  readonly revisions?: Readonly<Record<string, unknown>>
  readonly tip: boolean
  /** The operation's entry that this one says the end of. */
  readonly outcome_of?: string
  readonly source: AuditedEntry['source']
  readonly spans: number
  readonly failure: AuditedEntry['failure']
  readonly signature: string
}

export interface DenialJson {
  /** Whether its principal has signed it: then it has what follows `place`, too. */
  readonly signed: boolean
  readonly operation: string | null
  readonly workload_id: string | null
  readonly entry_id: string | null
  readonly code: string | null
  readonly reason: string | null
  readonly place: string
  readonly policies?: readonly string[]
  readonly parents?: readonly string[]
  readonly n?: string
  readonly unsigned?: number
  readonly timestamp_ms?: number
  readonly denial?: string
}

export interface ReceiptJson {
  readonly hash: string
  readonly principal: string
  readonly operation: string
  readonly parent_ids: readonly string[]
  readonly timestamp_ms: number
  readonly holder: Receipt['holder']
  readonly named_by: Receipt['namedBy']
  readonly exported: Receipt['exported']
  readonly place: string
}

export interface FindingJson {
  readonly code: AuditFinding['code']
  readonly severity: AuditFinding['severity']
  readonly message: string
  readonly cause: AuditFinding['cause']
  readonly entry_hash: string | null
  readonly place: string | null
  /** When it is more than once. */
  readonly times?: number
}

/** @param entries those that are written; default: all */
export function traceJson(report: TraceReport, entries = report.entries): TraceJson {
  const { traceId, verdict, time, tips, denials, denialCount, receipts, findings } = report
  return {
    trace_id: traceId,
    verdict,
    time,
    tips,
    entries: entries.map(entryJson),
    denials: denials.map(denialJson),
    ...(denialCount === denials.length ? {} : { denial_count: denialCount }),
    ...(receipts.length === 0 ? {} : { receipts: receipts.map(receiptJson) }),
    findings: findings.map(findingJson),
  }
}

/** A trace that is larger than is judged: nothing of it is proven, and nothing that comes of it later is looked at. */
export function asFull(trace: TraceJson, maxTraceSpans: number): TraceJson {
  const why = `it has more than ${maxTraceSpans} spans: not all of them, and none that comes later, were judged`
  const findings = [...trace.findings, findingJson(finding('limit', why))]
  return { ...trace, verdict: trace.verdict === 'broken' ? 'broken' : 'incomplete', findings }
}

export function entryJson(one: AuditedEntry): EntryJson {
  const { hash, status, principal, service, entry, trustScore, taints, identity, identityBy, jws } = one
  return {
    hash,
    status,
    service,
    principal,
    entry_id: entry.entry_id,
    operation: entry.operation,
    parent_ids: entry.parent_ids,
    timestamp_ms: entry.timestamp_ms,
    trust_score: trustScore,
    taints,
    identity,
    identity_by: identityBy,
    ...revisionsJson(entry.labels[LABEL.revisions]),
    tip: one.tip,
    ...(one.outcomeOf === null ? {} : { outcome_of: one.outcomeOf }),
    source: one.source,
    spans: one.spans,
    failure: one.failure,
    signature: jws,
  }
}

/** Which texts decided, where the entry says it as it should. */
function revisionsJson(label: string | undefined): Pick<EntryJson, 'revisions'> {
  const revisions = label === undefined ? undefined : parseRevisionsLabel(label)
  return revisions === undefined ? {} : { revisions: Object.fromEntries(revisions) }
}

function denialJson(denial: Denial): DenialJson {
  const { operation, workloadId, entryId, code, reason, place, parents, signed } = denial
  const said = { operation, workload_id: workloadId, entry_id: entryId, code, reason, place }
  if (signed === null) return { signed: false, ...said }
  const { policies, number, unsigned, timestampMs, jws } = signed
  return {
    signed: true,
    ...said,
    policies,
    parents,
    n: number,
    unsigned,
    timestamp_ms: timestampMs,
    denial: jws,
  }
}

function receiptJson(one: Receipt): ReceiptJson {
  const { hash, principal, operation, parents, timestampMs, holder, namedBy, exported, place } = one
  return {
    hash,
    principal,
    operation,
    parent_ids: parents,
    timestamp_ms: timestampMs,
    holder,
    named_by: namedBy,
    exported,
    place,
  }
}

export function findingJson(one: AuditFinding): FindingJson {
  const { code, severity, message, cause, entryHash, place, times } = one
  return { code, severity, message, cause, entry_hash: entryHash, place, ...(times === 1 ? {} : { times }) }
}
