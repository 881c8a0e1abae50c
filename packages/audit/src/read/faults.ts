import { type AuditFinding, finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import type { OtlpSpans } from '../span/otlp-json.js'
import type { SpanBatch } from './batch.js'

/** What was read in a place, with a finding for all that whoever answered says is missing. */
export function batchIn(read: OtlpSpans, place: Place, bytes: number): SpanBatch {
  const { spans, others } = read
  return { spans, others, findings: faultsIn(read, place), bytes }
}

export function faultsIn({ faults = [] }: OtlpSpans, place: Place): readonly AuditFinding[] {
  return faults.map((why) => finding('unreadable', why, { place: placeText(place) }))
}
