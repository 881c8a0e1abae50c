import { ATTRIBUTE, LABEL, RECEIPT_SPAN, SCOPE, SPAN_PREFIX } from '@kest/core'
import type { MadeEntry } from './make-entry.js'

/** A span in OTLP/JSON, as a test may change it. */
export interface OtlpSpan {
  name: string
  traceId: string
  spanId: string
  attributes: Record<string, unknown>
}

/** The audit span of an entry, as the hook writes it. */
export function spanOf(made: MadeEntry, lineage?: readonly MadeEntry[]): OtlpSpan {
  const { entry, jws, hash } = made
  const named = entry.labels[LABEL.traceId]
  return {
    name: SPAN_PREFIX + entry.operation,
    traceId: named ?? 'f'.repeat(32),
    spanId: hash.slice(0, 16),
    attributes: {
      [ATTRIBUTE.entryId]: entry.entry_id,
      [ATTRIBUTE.operation]: entry.operation,
      [ATTRIBUTE.workloadId]: entry.labels[LABEL.principal],
      [ATTRIBUTE.trustScore]: entry.trust_score,
      [ATTRIBUTE.parentHash]: entry.parent_ids.join(','),
      [ATTRIBUTE.signature]: jws,
      [ATTRIBUTE.chainTip]: hash,
      [ATTRIBUTE.decision]: 'allow',
      ...(named === undefined ? {} : { [ATTRIBUTE.traceId]: named }),
      ...(lineage === undefined
        ? {}
        : { [ATTRIBUTE.passport]: JSON.stringify(lineage.map((one) => one.jws)) }),
    },
  }
}

/** The span of an entry as its caller holds it (K-RECEIPT). */
export function receiptOf({ entry, jws, hash }: MadeEntry, holder?: string): OtlpSpan {
  return {
    name: RECEIPT_SPAN,
    traceId: 'e'.repeat(32),
    spanId: hash.slice(16, 32),
    attributes: {
      [ATTRIBUTE.receipt]: jws,
      [ATTRIBUTE.receiptHash]: hash,
      [ATTRIBUTE.receiptOf]: entry.labels[LABEL.principal],
      [ATTRIBUTE.traceId]: entry.labels[LABEL.traceId],
      ...(holder === undefined ? {} : { [ATTRIBUTE.receiptHolder]: holder }),
    },
  }
}

/** The span without what it has of its entry. */
export function withoutEntry(span: OtlpSpan): OtlpSpan {
  const { [ATTRIBUTE.signature]: _, [ATTRIBUTE.chainTip]: __, ...attributes } = span.attributes
  return { ...span, attributes }
}

/** The span of an operation that was denied, where the entry would have been. */
export function denialOf(made: MadeEntry): OtlpSpan {
  const span = withoutEntry(spanOf(made))
  return { ...span, attributes: { ...span.attributes, [ATTRIBUTE.decision]: 'deny' } }
}

/** One line of the Collector's file exporter. */
export function otlpLine(service: string, spans: readonly OtlpSpan[], scope: string = SCOPE): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        scopeSpans: [{ scope: { name: scope, version: '0.1.0' }, spans: spans.map(otlpSpan) }],
      },
    ],
  })
}

function otlpSpan({ name, traceId, spanId, attributes }: OtlpSpan): object {
  return {
    traceId,
    spanId,
    parentSpanId: '',
    flags: 256,
    name,
    kind: 1,
    startTimeUnixNano: '1769860800000000000',
    endTimeUnixNano: '1769860800000100000',
    attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) })),
    status: {},
  }
}

function anyValue(value: unknown): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (Number.isInteger(value)) return { intValue: String(value) }
  return typeof value === 'number' ? { doubleValue: value } : { kvlistValue: { values: [] } }
}
