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

/** In JSON nothing but the member looks so: a quote within a text has a backslash before it. */
const SIGNATURE = Buffer.from('"signature":"')
const QUOTE = 0x22
const COMPACT = /^[\w.-]*$/

/**
 * The entry of a span that was written so, in a fraction of the time that it takes to read all of it; `undefined` when it has none. Of what
 * was not written so, it may be one that is in it.
 */
export function signatureIn({ value }: Pick<LogRecord, 'value'>): string | undefined {
  const at = value?.indexOf(SIGNATURE) ?? -1
  if (value === null || at === -1) return undefined
  const from = at + SIGNATURE.length
  const end = value.indexOf(QUOTE, from)
  if (end === -1) return undefined
  const text = value.toString('latin1', from, end)
  if (COMPACT.test(text)) return text
  const signature = decodeSpan({ value })?.claims.signature
  return typeof signature === 'string' ? signature : undefined
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
