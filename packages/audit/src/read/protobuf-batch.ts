import { types } from 'node:util'
import { type FindingCode, finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { decodeTempoProtobuf } from '../span/otlp-protobuf.js'
import { TooManyParts } from '../span/parts.js'
import { faultBatch, type SpanBatch } from './batch.js'
import { batchIn } from './faults.js'
import type { Line } from './lines.js'

/** What a file is that is one message of protobuf. What of it is not read is a finding. */
export function protobufBatch({ bytes, length }: Line, file: string): SpanBatch {
  const place: Place = { file, line: null }
  const fault = (code: FindingCode, why: string): SpanBatch =>
    faultBatch(finding(code, why, { place: placeText(place) }), length)
  if (bytes === null) return fault('limit', `it is a message of ${length} bytes, which is more than is read`)
  try {
    const { resourceSpans, faults } = decodeTempoProtobuf(bytes)
    return batchIn({ ...readOtlpJson({ resourceSpans }, { place, receivedAt: null }), faults }, place, length)
  } catch (error) {
    if (!types.isNativeError(error)) throw error
    return fault(
      error instanceof TooManyParts ? 'limit' : 'unreadable',
      `it cannot be read: ${error.message}`,
    )
  }
}
