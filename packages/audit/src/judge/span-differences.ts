import { LABEL, type ParsedEntry, SPAN_PREFIX } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import type { JudgeRules } from './options.js'
import { timeFinding } from './time.js'

/**
 * Where a span says something else than the signed entry in it, which stands (K-AUDIT), or came when that is not possible
 * (K-TIME).
 */
export function spanDifferences(
  span: ExportedSpan,
  parsed: ParsedEntry,
  rules: JudgeRules,
): readonly AuditFinding[] {
  const names = differences(span, parsed)
  const time = timeFinding(span, parsed.entry.timestamp_ms, rules)
  if (names.length === 0 && time === null) return NONE
  const details = { entryHash: parsed.hash, place: placeText(span.place) }
  const findings: AuditFinding[] = []
  if (names.length > 0) {
    const message = `the span says something else than its entry: ${names.join(', ')}`
    findings.push(finding('attribute-differs', message, details))
  }
  if (time !== null) findings.push(finding('time', time, details))
  return findings
}

const NONE: readonly AuditFinding[] = Object.freeze([])

/** Names of what differs. What a span leaves out is no difference. */
function differences(
  { claims, name, traceId, spanId }: ExportedSpan,
  { entry, hash }: ParsedEntry,
): readonly string[] {
  const { trace_id: ownTrace, span_id: ownSpan } = entry.otel_context
  const { labels, parent_ids: parents } = entry
  const names: string[] = []
  const compare = (of: string, claimed: unknown, signed: unknown): void => {
    if (claimed !== undefined && claimed !== signed) names.push(of)
  }
  compare('kest.entry_id', claims.entryId, entry.entry_id)
  compare('kest.operation', claims.operation, entry.operation)
  compare('kest.workload_id', claims.workloadId, labels[LABEL.principal])
  compare('kest.trust_score', claims.trustScore, entry.trust_score)
  compare('kest.parent_hash', claims.parentHash, parents.length === 1 ? parents[0] : parents.join(','))
  compare('kest.trace_id', claims.traceId, labels[LABEL.traceId])
  compare('kest.chain_tip', claims.chainTip, hash)
  compare('kest.decision', claims.decision, 'allow')
  compare('the name', name === '' ? undefined : name, SPAN_PREFIX + entry.operation)
  compare('the trace id', traceId ?? undefined, typeof ownTrace === 'string' ? ownTrace : traceId)
  compare('the span id', spanId ?? undefined, typeof ownSpan === 'string' ? ownSpan : spanId)
  return names
}
