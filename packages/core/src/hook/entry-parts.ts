import { type JsonObject, LABEL, RUNTIME_NAME } from '../entry/entry.js'
import { VERSION } from '../version.js'

/** What has made an entry. */
export const RUNTIME = Object.freeze({ name: RUNTIME_NAME, version: VERSION })

const NOTHING: JsonObject = Object.freeze({})

/** Who signs an entry, also as an issuer of tokens has it, and of which lineage it is. */
export interface SignedBy {
  readonly principal: string
  readonly subject: { readonly iss: string; readonly sub: string } | undefined
  readonly traceId: string
}

/** Labels that every entry has, whatever it records. */
export function nameSigner(labels: Record<string, string>, { principal, subject, traceId }: SignedBy): void {
  labels[LABEL.principal] = principal
  if (subject !== undefined) {
    labels[LABEL.iss] = subject.iss
    labels[LABEL.sub] = subject.sub
  }
  labels[LABEL.traceId] = traceId
}

/** The audit span's own context, where something traces. */
export interface OwnSpan {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
}

export function otelContextOf(span: OwnSpan | null): JsonObject {
  if (span === null) return NOTHING
  return { trace_id: span.traceId, span_id: span.spanId, trace_flags: span.traceFlags }
}
