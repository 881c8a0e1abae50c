import { LABEL } from '@kest/core'
import type { ExportedSpan } from '../span/exported-span.js'

const TRACE_ID = /^[0-9a-f]{32}$/
/** Entries without a trace id: they are grouped by their links alone. */
export const UNTRACED = ''

/** Where a payload is decoded, one after the other: of longer ones than an entry may have, elsewhere. */
const DECODED = Buffer.allocUnsafeSlow(65_536)
const LABELS = '"labels":{'
/** Labels without escapes, from their first to the brace that ends them. */
const PLAIN_LABELS = /(?:"[^"\\]*":"[^"\\]*",)*"[^"\\]*":"[^"\\]*"\}/y
const NAME = '"trace_id":"'

/**
 * Which trace a span belongs to: the one that its entry names (`labels.trace_id`, K-TRACE), its signed denial, or the receipt in it, whatever trace the
 * span itself is in. What is not signed, or cannot be read, is put beside the entries of the trace that the span claims, or else is in,
 * and proves nothing.
 */
export function lineageKey({ claims, traceId }: ExportedSpan): string {
  const plain = typeof claims.signature === 'string' ? plainTraceId(claims.signature) : undefined
  if (plain !== undefined) return plain
  const labels = typeof claims.signature === 'string' ? labelsOf(claims.signature) : undefined
  if (labels !== undefined) return named(labels[LABEL.traceId]) ?? UNTRACED
  const denied = typeof claims.denial === 'string' ? named(payloadOf(claims.denial)?.['trace_id']) : undefined
  if (denied !== undefined) return denied
  const held =
    typeof claims.receipt === 'string' ? named(labelsOf(claims.receipt)?.[LABEL.traceId]) : undefined
  if (held !== undefined) return held
  return named(claims.traceId) ?? traceId ?? UNTRACED
}

function named(traceId: unknown): string | undefined {
  return typeof traceId === 'string' && TRACE_ID.test(traceId) ? traceId : undefined
}

/**
 * What parsing the payload of an entry that is well-formed would find, in a fraction of the time: one object of labels, and in it one
 * trace id.
 * @returns `undefined` where that cannot be said without parsing it
 */
function plainTraceId(jws: string): string | undefined {
  const start = jws.indexOf('.') + 1
  const end = jws.indexOf('.', start)
  if (start === 0 || end === -1 || end - start > DECODED.length) return undefined
  const payload = DECODED.toString('latin1', 0, DECODED.write(jws.slice(start, end), 'base64url'))
  const labels = payload.indexOf(LABELS) + LABELS.length
  if (labels < LABELS.length || payload.includes(LABELS, labels)) return undefined
  PLAIN_LABELS.lastIndex = labels
  const plain = PLAIN_LABELS.exec(payload)?.[0]
  if (plain === undefined) return undefined
  const id = plain.lastIndexOf(NAME) + NAME.length
  return id < NAME.length ? undefined : named(plain.slice(id, plain.indexOf('"', id)))
}

/** Read as `parseEntry` will read them: of repeated members the last, and it refuses the entry then. */
function labelsOf(jws: string): Readonly<Record<string, unknown>> | undefined {
  const labels = payloadOf(jws)?.['labels']
  return typeof labels === 'object' && labels !== null ? (labels as Record<string, unknown>) : undefined
}

function payloadOf(jws: string): Readonly<Record<string, unknown>> | undefined {
  const start = jws.indexOf('.') + 1
  const end = jws.indexOf('.', start)
  if (start === 0 || end === -1) return undefined
  try {
    const payload: unknown = JSON.parse(Buffer.from(jws.slice(start, end), 'base64url').toString('utf8'))
    return typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
