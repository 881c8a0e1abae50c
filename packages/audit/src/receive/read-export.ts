import type { SpanBatch } from '../read/batch.js'
import type { Place } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { decodeOtlpProtobuf } from '../span/otlp-protobuf.js'
import { parseJson } from '../span/parse-json.js'
import { TooManyParts } from '../span/parts.js'
import { Unreadable } from '../span/unreadable.js'
import type { OtlpEncoding } from './answer.js'
import { Refusal } from './refusal.js'

/** A request whose body has come. */
export interface Export {
  readonly encoding: OtlpEncoding
  readonly body: Buffer
  readonly place: Place
  /** When it had come, milliseconds since the epoch; `null` when nobody saw it come. */
  readonly receivedAt: number | null
}

/** @throws {Refusal} 400 when it is not an export of OTLP, 413 when it is in too many parts */
export function readExport({ encoding, body, place, receivedAt }: Export): SpanBatch {
  try {
    const value = encoding === 'json' ? readJson(body) : readProtobuf(body)
    return { ...readOtlpJson(value, { place, receivedAt }), findings: [], bytes: body.length }
  } catch (error) {
    if (error instanceof TooManyParts) throw new Refusal(413, error.message)
    if (error instanceof Unreadable) throw new Refusal(400, error.message)
    throw error
  }
}

/** Without spans there is no list of them, either. */
function readJson(body: Buffer): unknown {
  const value = parseJson(body)
  const empty =
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  return empty ? { resourceSpans: [] } : value
}

function readProtobuf(body: Buffer): unknown {
  try {
    return decodeOtlpProtobuf(body)
  } catch (cause) {
    if (cause instanceof TooManyParts || cause instanceof Unreadable) throw cause
    throw new Unreadable(`it is not protobuf: ${(cause as Error).message}`)
  }
}
