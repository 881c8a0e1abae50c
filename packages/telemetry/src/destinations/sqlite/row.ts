import { ATTRIBUTE, entryHash, LABEL } from '@kest/core'
import type { ReadableSpan } from '../../spans/readable-span.js'
import { otlpLine } from '../otlp-json.js'
import type { COLUMNS } from './schema.js'

/** The values of a row, in the order of {@link COLUMNS}. */
export type SpanRow = readonly (string | number | null)[] & { readonly length: (typeof COLUMNS)['length'] }

/** @param recordedMs when it is written, epoch milliseconds */
export function rowOf(span: ReadableSpan, recordedMs: number): SpanRow {
  const { traceId, spanId } = span.spanContext()
  const [seconds, nanos] = span.endTime
  const signature = textOf(span.attributes[ATTRIBUTE.signature])
  const labels = signature === null ? {} : labelsOf(signature)
  return [
    traceId,
    spanId,
    textOf(span.resource.attributes['service.name']),
    span.name,
    textOf(span.attributes[ATTRIBUTE.operation]),
    textOf(span.attributes[ATTRIBUTE.decision]),
    textOf(span.attributes[ATTRIBUTE.entryId]),
    signature === null ? null : entryHash(signature),
    textOf(labels[LABEL.traceId]),
    textOf(labels[LABEL.principal]) ?? textOf(span.attributes[ATTRIBUTE.workloadId]),
    seconds * 1000 + Math.floor(nanos / 1e6),
    recordedMs,
    otlpLine(span),
  ]
}

/** Read, not verified. What cannot be read is filed without them: the auditor decides what it is. */
function labelsOf(signature: string): Readonly<Record<string, unknown>> {
  try {
    const payload = Buffer.from(signature.split('.')[1] ?? '', 'base64url').toString()
    return (JSON.parse(payload) as { labels?: Record<string, unknown> }).labels ?? {}
  } catch {
    return {}
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
