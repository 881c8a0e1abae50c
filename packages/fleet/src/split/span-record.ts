import type { Claim, Claims, ExportedSpan } from '@kest/audit'
import type { LogRecord } from '../log/log.js'

/** Where a span was, in the topic of exports: the same span, however often it is written on. */
export const SOURCE_HEADER = 'kest-source'
/** The key of spans that name no trace. */
export const UNTRACED_KEY = 'untraced'

/** The key of the others: that of their trace. */
export const TRACE_ID: RegExp = /^[0-9a-f]{32}$/
const SPAN_ID = /^[0-9a-f]{16}$/

/** A span as it is written between the stages. */
export function encodeSpan(span: ExportedSpan): Buffer {
  return Buffer.from(JSON.stringify(span))
}

/** A span that was written so; `null` for what was not: others may write into the topic. */
export function decodeSpan({ value }: Pick<LogRecord, 'value'>): ExportedSpan | null {
  const span = value === null ? null : jsonOf(value)
  if (!isRecord(span) || !isRecord(span['claims']) || !isRecord(span['place'])) return null
  const { name, traceId, spanId, service, receivedAt, place } = span
  const { file, line } = place as Record<string, unknown>
  const isWhole =
    typeof name === 'string' &&
    (traceId === null || (typeof traceId === 'string' && TRACE_ID.test(traceId))) &&
    (spanId === null || (typeof spanId === 'string' && SPAN_ID.test(spanId))) &&
    (service === null || typeof service === 'string') &&
    (receivedAt === null || Number.isSafeInteger(receivedAt)) &&
    typeof file === 'string' &&
    (line === null || Number.isSafeInteger(line)) &&
    Object.values(span['claims']).every(isClaim)
  return isWhole ? (span as unknown as ExportedSpan & { readonly claims: Claims }) : null
}

function isClaim(value: unknown): value is Claim {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return null
  }
}
