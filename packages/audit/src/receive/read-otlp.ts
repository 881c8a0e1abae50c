import { finding } from '../finding.js'
import { faultBatch, type SpanBatch } from '../read/batch.js'
import { type Place, placeText } from '../span/exported-span.js'
import type { OtlpEncoding } from './answer.js'
import { readExport } from './read-export.js'
import { Refusal } from './refusal.js'

export type { OtlpEncoding } from './answer.js'

/** An export that somebody keeps: a record of a log, say. */
export interface OtlpRecord {
  readonly encoding: OtlpEncoding
  readonly bytes: Uint8Array
  /** How findings and denials call it. */
  readonly place: Place
  /** When a witness received it, milliseconds since the epoch (K-TIME); `null` when nobody did. */
  readonly receivedAt: number | null
}

/**
 * The spans of Kest in one export of OTLP (ExportTraceServiceRequest): all of them, or none and a finding `unreadable` that says why, or
 * `limit` for one in more than a million parts. It never throws for what is in it.
 */
export function readOtlp({ encoding, bytes, place, receivedAt }: OtlpRecord): SpanBatch {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  try {
    return readExport({ encoding, body, place, receivedAt })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const code = error.status === 413 ? 'limit' : 'unreadable'
    return faultBatch(finding(code, error.message, { place: placeText(place) }), bytes.length)
  }
}
