import { isUtf8 } from 'node:buffer'
import { type FindingCode, finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { assertParts, TooManyParts } from '../span/parts.js'
import { faultBatch, type SpanBatch } from './batch.js'
import { spansOfEntries } from './entries.js'
import type { Line } from './lines.js'

/**
 * What a line of a file says: an OTLP/JSON export, an entry alone (a JWS compact string), or a passport (a JSON array).
 * Anything else is a finding, and never passed over in silence.
 */
export function batchOf(line: Line, file: string): SpanBatch {
  const { bytes, length } = line
  const place: Place = { file, line: line.number }
  if (bytes === null)
    return fault('limit', place, `a line of ${length} bytes, which is more than is read`, length)
  if (bytes.length === 0) return { spans: [], others: 0, findings: [], bytes: length }
  if (!isUtf8(bytes)) return unparsed(line, place, 'it is not UTF-8')
  const text = bytes.toString('utf8').trim()
  if (text.startsWith('ey')) return entries([text], place, length)
  if (text === '') return { spans: [], others: 0, findings: [], bytes: length }
  let value: unknown
  try {
    assertParts(bytes)
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof TooManyParts) return fault('limit', place, error.message, length)
    return unparsed(line, place, 'it is neither JSON nor a JWS compact string')
  }
  if (Array.isArray(value) && value.every((jws) => typeof jws === 'string'))
    return entries(value, place, length)
  const read = readOtlpJson(value, { place, receivedAt: null })
  if (read === undefined) return fault('unreadable', place, 'it is not an export of OTLP/JSON', length)
  return { ...read, findings: [], bytes: length }
}

function entries(list: readonly string[], place: Place, bytes: number): SpanBatch {
  return { spans: spansOfEntries(list, place), others: 0, findings: [], bytes }
}

/** What a writer that died left behind was never acknowledged. What can be parsed is whole, and no such thing. */
function unparsed({ ended, length }: Line, place: Place, why: string): SpanBatch {
  if (!ended) return fault('torn', place, 'the last line is torn: its writer did not end it', length)
  return fault('unreadable', place, why, length)
}

function fault(code: FindingCode, place: Place, why: string, bytes: number): SpanBatch {
  return faultBatch(finding(code, why, { place: placeText(place) }), bytes)
}
