import type {
  AuditedEntry,
  AuditFinding,
  AuditSummary,
  Denial,
  ObservedReport,
  Receipt,
  ReplaySummary,
  RevisionReport,
  TraceReport,
} from '@kest/audit'
import { LABEL, parseRevisionsLabel } from '@kest/core'
import { jsonLine, jsonText } from '../terminal/escape.js'
import { observedSummary } from './observed-json.js'
import { replayJson } from './replay-text.js'
import { revisionsSummary } from './revisions-json.js'

/** Entries of one piece: a trace may have more than one text can hold. */
const PIECE = 1_000

/** One trace on one line, piece by piece. */
export function* reportJson({ entries, ...report }: TraceReport): Generator<string> {
  const { traceId, verdict, time, tips, denials, denialCount, receipts, findings } = report
  const head = { trace_id: traceId, verdict, time, tips }
  const tail = {
    denials: denials.map(denialJson),
    ...(denialCount === denials.length ? {} : { denial_count: denialCount }),
    ...(receipts.length === 0 ? {} : { receipts: receipts.map(receiptJson) }),
    findings: findings.map(findingJson),
  }
  yield `${jsonText(head).slice(0, -1)},"entries":[`
  for (let from = 0; from < entries.length; from += PIECE) {
    const some = jsonText(entries.slice(from, from + PIECE).map(entryJson))
    yield `${from === 0 ? '' : ','}${some.slice(1, -1)}`
  }
  yield `],${jsonText(tail).slice(1)}\n`
}

/** What an audit was asked for beside traces. */
export interface Beside {
  readonly observed?: ObservedReport | null
  readonly revisions?: RevisionReport | null
  readonly replay?: ReplaySummary | null
}

/** The last line. */
export function summaryJson(
  summary: AuditSummary,
  { observed = null, revisions = null, replay = null }: Beside = {},
): string {
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
    ...(observed === null ? {} : { observed: observedSummary(observed) }),
    ...(revisions === null ? {} : { revisions: revisionsSummary(revisions) }),
    ...(replay === null ? {} : { replay: replayJson(replay) }),
    findings: general.map(findingJson),
  })
}

function receiptJson(one: Receipt): object {
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
function revisionsJson(label: string | undefined): { readonly revisions?: object } {
  const revisions = label === undefined ? undefined : parseRevisionsLabel(label)
  return revisions === undefined ? {} : { revisions: Object.fromEntries(revisions) }
}

function denialJson({
  operation,
  workloadId,
  entryId,
  code,
  reason,
  place,
  parents,
  signed,
}: Denial): object {
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

function findingJson({ code, severity, message, cause, entryHash, place, times }: AuditFinding): object {
  return { code, severity, message, cause, entry_hash: entryHash, place, ...(times === 1 ? {} : { times }) }
}
