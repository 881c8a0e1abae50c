import { isUtf8 } from 'node:buffer'
import type { SpanBatch } from '../read/batch.js'
import type { Place } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { decodeOtlpProtobuf } from '../span/otlp-protobuf.js'
import { assertParts, TooManyParts } from '../span/parts.js'
import type { OtlpEncoding } from './answer.js'
import { Refusal } from './refusal.js'

/** A request whose body has come. */
export interface Export {
  readonly encoding: OtlpEncoding
  readonly body: Buffer
  readonly place: Place
  /** When it had come, milliseconds since the epoch. */
  readonly receivedAt: number
}

/** @throws {Refusal} 400 when it is not an export of OTLP, 413 when it is in too many parts */
export function readExport({ encoding, body, place, receivedAt }: Export): SpanBatch {
  const value = encoding === 'json' ? parseJson(body) : parseProtobuf(body)
  const read = readOtlpJson(value, { place, receivedAt })
  if (read === undefined) throw unreadable('it is not an export of OTLP/JSON')
  return { ...read, findings: [], bytes: body.length }
}

function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw unreadable('it is not UTF-8')
  try {
    assertParts(body)
    const value: unknown = JSON.parse(body.toString('utf8'))
    // Without spans there is no list of them, either.
    return isEmpty(value) ? { resourceSpans: [] } : value
  } catch (cause) {
    if (cause instanceof TooManyParts) throw new Refusal(413, cause.message)
    throw unreadable('it is not JSON')
  }
}

function isEmpty(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  )
}

function parseProtobuf(body: Buffer): unknown {
  try {
    return decodeOtlpProtobuf(body)
  } catch (cause) {
    if (cause instanceof TooManyParts) throw new Refusal(413, cause.message)
    throw unreadable(`it is not protobuf: ${(cause as Error).message}`)
  }
}

function unreadable(why: string): Refusal {
  return new Refusal(400, why)
}
