import { type FindingCode, finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import type { OtlpSpans } from '../span/otlp-json.js'
import { TooManyParts } from '../span/parts.js'
import { NotJson, Unreadable } from '../span/unreadable.js'
import { faultBatch, type SpanBatch } from './batch.js'
import { OTHER_SIGNAL, readExportText } from './export-text.js'
import { batchIn, faultsIn } from './faults.js'
import type { Line } from './lines.js'
import { isTorn, piecesOf } from './torn.js'

const OPEN_OBJECT = 0x7b
const OPEN_LIST = 0x5b
const LETTER_E = 0x65
const EMPTY_LIST = Buffer.from('[]')
/** Bytes of an export that is empty. */
const SHORTEST = '{"batches":[]}'.length
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * What a line of a file says. What of it is not read is a finding, and never passed over in silence; `OTHER_SIGNAL` for a line of
 * logs or metrics, of which an auditor has one word for the whole file.
 */
export function batchOf(line: Line, file: string): SpanBatch | typeof OTHER_SIGNAL {
  const { bytes, length } = line
  const place: Place = { file, line: line.number }
  if (bytes === null)
    return fault('limit', place, `a line of ${length} bytes, which is more than is read`, length)
  const text = trimmed(bytes, line.number === 1)
  if (text.length === 0) return { spans: [], others: 0, findings: [], bytes: length }
  if (isNothing(text)) return inPieces(text, line, place, 'it is neither JSON nor a JWS compact string')
  try {
    const read = readExportText(text, place)
    return read === OTHER_SIGNAL ? read : batchIn(read, place, length)
  } catch (error) {
    if (error instanceof TooManyParts) return fault('limit', place, error.message, length)
    if (error instanceof NotJson) return inPieces(text, line, place, error.message)
    if (error instanceof Unreadable) return fault('unreadable', place, error.message, length)
    throw error
  }
}

/** Seen at once, so that millions of lines that are nothing take little time. */
function isNothing(text: Buffer): boolean {
  const [first] = text
  if (first !== OPEN_OBJECT && first !== OPEN_LIST && first !== LETTER_E) return true
  return text.length < SHORTEST && !text.equals(EMPTY_LIST)
}

/** Of a line in which writers ended in the middle, what is whole. What a writer that died left behind was never acknowledged. */
function inPieces(text: Buffer, { ended, length }: Line, place: Place, why: string): SpanBatch {
  const pieces = piecesOf(text)
  if (pieces === null) return fault('limit', place, 'a line in more pieces than are looked at', length)
  if (pieces.length === 1) {
    if (ended || !isTorn(text)) return fault('unreadable', place, why, length)
    return fault('torn', place, 'the last line is torn: its writer did not end it', length)
  }
  const read: OtlpSpans[] = []
  let torn = 0
  const wrong: string[] = []
  for (const piece of pieces) {
    try {
      const one = readExportText(piece, place)
      if (one !== OTHER_SIGNAL) read.push(one)
    } catch (error) {
      if (error instanceof NotJson && isTorn(piece)) torn++
      else if (error instanceof Unreadable || error instanceof TooManyParts) wrong.push(error.message)
      else throw error
    }
  }
  const found = (code: FindingCode, what: string) =>
    finding(code, `of ${pieces.length} exports in one line ${what}; ${read.length} are read`, {
      place: placeText(place),
    })
  return {
    spans: read.flatMap(({ spans }) => spans),
    others: read.reduce((sum, { others }) => sum + others, 0),
    findings: [
      ...read.flatMap((one) => faultsIn(one, place)),
      ...(torn === 0
        ? []
        : [found('torn', `${torn} end in the middle: a writer was killed, or its disk was full`)]),
      ...(wrong.length === 0 ? [] : [found('unreadable', `${wrong.length} cannot be read (${wrong[0]})`)]),
    ],
    bytes: length,
  }
}

/** Without what JSON has for white space, and without the mark that some editors begin a file with. */
function trimmed(bytes: Buffer, first: boolean): Buffer {
  const marked = first && bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
  let start = marked ? BYTE_ORDER_MARK.length : 0
  let end = bytes.length
  while (start < end && isSpace(bytes[start] as number)) start++
  while (end > start && isSpace(bytes[end - 1] as number)) end--
  return bytes.subarray(start, end)
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d && byte !== 0x0b && byte !== 0x0c)
}

function fault(code: FindingCode, place: Place, why: string, bytes: number): SpanBatch {
  return faultBatch(finding(code, why, { place: placeText(place) }), bytes)
}
