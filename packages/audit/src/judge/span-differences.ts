import { LABEL, type ParsedEntry, SPAN_PREFIX } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import type { JudgeRules } from './options.js'
import { timeFinding } from './time.js'

/**
 * Where a span says something else than the signed entry in it, which stands (K-AUDIT), or came when that is not possible
 * (K-TIME).
 */
export function spanDifferences(span: ExportedSpan, parsed: ParsedEntry, rules: JudgeRules): AuditFinding[] {
  const details = { entryHash: parsed.hash, place: placeText(span.place) }
  const findings: AuditFinding[] = []
  const names = differences(span, parsed)
  if (names.length > 0) {
    const message = `the span says something else than its entry: ${names.join(', ')}`
    findings.push(finding('attribute-differs', message, details))
  }
  const time = timeFinding(span, parsed.entry.timestamp_ms, rules)
  if (time !== null) findings.push(finding('time', time, details))
  return findings
}

/** Names of what differs. What a span leaves out is no difference. */
function differences(
  { claims, name, traceId, spanId }: ExportedSpan,
  { entry, hash }: ParsedEntry,
): string[] {
  const { trace_id: ownTrace, span_id: ownSpan } = entry.otel_context
  const pairs: readonly (readonly [name: string, claimed: unknown, signed: unknown])[] = [
    ['kest.entry_id', claims.entryId, entry.entry_id],
    ['kest.operation', claims.operation, entry.operation],
    ['kest.workload_id', claims.workloadId, entry.labels[LABEL.principal]],
    ['kest.trust_score', claims.trustScore, entry.trust_score],
    ['kest.parent_hash', claims.parentHash, entry.parent_ids.join(',')],
    ['kest.trace_id', claims.traceId, entry.labels[LABEL.traceId]],
    ['kest.chain_tip', claims.chainTip, hash],
    ['kest.decision', claims.decision, 'allow'],
    ['the name', name === '' ? undefined : name, SPAN_PREFIX + entry.operation],
    ['the trace id', traceId ?? undefined, typeof ownTrace === 'string' ? ownTrace : traceId],
    ['the span id', spanId ?? undefined, typeof ownSpan === 'string' ? ownSpan : spanId],
  ]
  return pairs.flatMap(([of, claimed, signed]) => (claimed === undefined || claimed === signed ? [] : [of]))
}
