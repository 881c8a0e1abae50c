import type { Claims, ExportedSpan } from '../span/exported-span.js'

/** A span, and the trace that it was put into. */
export interface SpanRecord {
  readonly key: string
  readonly span: ExportedSpan
}

/** What each record costs beside its text, roughly. */
const OVERHEAD = 512

/** About how many bytes of memory a record takes. */
export function weightOf({ span }: SpanRecord): number {
  let weight = OVERHEAD + span.name.length
  for (const claim of Object.values(span.claims)) if (typeof claim === 'string') weight += claim.length
  return weight
}

/** One line of JSON. */
export function encodeRecord({ key, span }: SpanRecord): string {
  const { name, traceId, spanId, service, claims, receivedAt, place } = span
  return `${JSON.stringify([key, name, traceId, spanId, service, claims, receivedAt, place.file, place.line])}\n`
}

type Encoded = readonly [
  key: string,
  name: string,
  traceId: string | null,
  spanId: string | null,
  service: string | null,
  claims: Claims,
  receivedAt: number | null,
  file: string,
  line: number | null,
]

export function decodeRecord(line: string): SpanRecord {
  const [key, name, traceId, spanId, service, claims, receivedAt, file, number] = JSON.parse(line) as Encoded
  return { key, span: { name, traceId, spanId, service, claims, receivedAt, place: { file, line: number } } }
}
