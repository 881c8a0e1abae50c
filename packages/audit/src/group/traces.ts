import type { ExportedSpan } from '../span/exported-span.js'
import { UNTRACED } from './lineage-key.js'
import type { Partition } from './spool.js'

/** The spans of one trace, as far as they could be kept. */
export interface TraceSpans {
  /** `null`: entries that name no trace, and hang together by their links. */
  readonly traceId: string | null
  readonly spans: readonly ExportedSpan[]
  /** Spans that were not kept, because there are too many. */
  readonly dropped: number
}

export function tracesOf({ records, dropped }: Partition): TraceSpans[] {
  const byKey = new Map<string, ExportedSpan[]>()
  for (const { key, span } of records) {
    const spans = byKey.get(key)
    if (spans === undefined) byKey.set(key, [span])
    else spans.push(span)
  }
  for (const key of dropped.keys()) if (!byKey.has(key)) byKey.set(key, [])
  return [...byKey].map(([key, spans]) => ({
    traceId: key === UNTRACED ? null : key,
    spans,
    dropped: dropped.get(key) ?? 0,
  }))
}
