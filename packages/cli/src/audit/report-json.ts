import type { AuditedEntry, AuditFinding, AuditSummary, Denial, TraceReport } from '@kest/audit'
import { jsonLine } from '../terminal/escape.js'

/** One trace on one line. */
export function reportJson({
  traceId,
  verdict,
  time,
  entries,
  tips,
  denials,
  findings,
}: TraceReport): string {
  return jsonLine({
    trace_id: traceId,
    verdict,
    time,
    tips,
    entries: entries.map(entryJson),
    denials: denials.map(denialJson),
    findings: findings.map(findingJson),
  })
}

/** The last line. */
export function summaryJson(summary: AuditSummary): string {
  const { traces, verdicts, entries, spans, otherSpans, denials, findings, general } = summary
  return jsonLine({
    summary: {
      traces,
      verdicts,
      entries,
      denials,
      spans,
      other_spans: otherSpans,
      findings: Object.fromEntries(findings),
    },
    findings: general.map(findingJson),
  })
}

function entryJson(one: AuditedEntry): object {
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
    tip: one.tip,
    source: one.source,
    spans: one.spans,
    failure: one.failure,
    signature: jws,
  }
}

function denialJson({ operation, workloadId, entryId, code, reason, place }: Denial): object {
  return { signed: false, operation, workload_id: workloadId, entry_id: entryId, code, reason, place }
}

function findingJson({ code, severity, message, cause, entryHash, place, times }: AuditFinding): object {
  return { code, severity, message, cause, entry_hash: entryHash, place, ...(times === 1 ? {} : { times }) }
}
