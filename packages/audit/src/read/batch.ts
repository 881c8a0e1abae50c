import type { AuditFinding } from '../finding.js'
import type { ExportedSpan } from '../span/exported-span.js'

/** What a reader hands on at a time: a line, a page, a request. */
export interface SpanBatch {
  readonly spans: readonly ExportedSpan[]
  /** Spans that are not of Kest, and were passed over. */
  readonly others: number
  /** What could not be read. */
  readonly findings: readonly AuditFinding[]
  /** Bytes of the source behind it, for whoever shows progress. */
  readonly bytes: number
}

/** Where spans come from. Bounded memory is the reader's business: it holds one batch at a time. */
export type SpanSource = AsyncIterable<SpanBatch>

export function faultBatch(fault: AuditFinding, bytes = 0): SpanBatch {
  return { spans: [], others: 0, findings: [fault], bytes }
}
