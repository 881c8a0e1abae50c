import type { Claim, Claims, ExportedSpan } from '../span/exported-span.js'

/** A span, and the trace that it was put into. */
export interface SpanRecord {
  readonly key: string
  readonly span: ExportedSpan
}

/**
 * A record as bytes: how long it is, how its parts are written and how long they are, then the parts: what is small, as JSON; the
 * entry; the passport. These two are most of it, and lie there as they are, so that neither is written or read as JSON.
 */
export interface EncodedRecord {
  /** The three parts; empty where one is absent. */
  readonly parts: readonly string[]
  /** Whether a byte is a character everywhere, as it mostly is: that is read and written several times as fast. */
  readonly ascii: boolean
  /** Of the whole frame. */
  readonly bytes: number
}

const HEADER = 20
const ENCODING_AT = 4
const LENGTHS_AT = 8
/** Length of a part that is absent. */
const ABSENT = 0xffffffff

type Small = readonly [
  key: string,
  name: string,
  traceId: string | null,
  spanId: string | null,
  service: string | null,
  receivedAt: number | null,
  file: string,
  line: number | null,
  claims: Claims,
]

export function encodeRecord({ key, span }: SpanRecord): EncodedRecord {
  const { name, traceId, spanId, service, receivedAt, place } = span
  const { signature, passport, ...claims } = span.claims
  const small: Small = [
    key,
    name,
    traceId,
    spanId,
    service,
    receivedAt,
    place.file,
    place.line,
    { ...claims, ...notText('signature', signature), ...notText('passport', passport) },
  ]
  const parts = [JSON.stringify(small), textOf(signature), textOf(passport)]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0)
  return { parts, ascii: bytes === length, bytes: HEADER + bytes }
}

/** Writes it where there is room for all of its bytes. */
export function writeRecord({ parts, ascii, bytes }: EncodedRecord, to: Buffer, at: number): void {
  let end = at + HEADER
  to.writeUInt32LE(bytes, at)
  to.writeUInt32LE(ascii ? 1 : 0, at + ENCODING_AT)
  for (const [i, text] of parts.entries()) {
    const length = to.write(text, end, ascii ? 'latin1' : 'utf8')
    to.writeUInt32LE(i > 0 && length === 0 ? ABSENT : length, at + LENGTHS_AT + 4 * i)
    end += length
  }
}

export function readRecord(bytes: Buffer, at: number): SpanRecord {
  const texts: (string | undefined)[] = []
  const encoding = encodingOf(bytes, at)
  let start = at + HEADER
  for (let part = 0; part < 3; part++) {
    const length = bytes.readUInt32LE(at + LENGTHS_AT + 4 * part)
    if (length === ABSENT) texts.push(undefined)
    else {
      texts.push(bytes.toString(encoding, start, start + length))
      start += length
    }
  }
  const [json = '', signature, passport] = texts
  const [key, name, traceId, spanId, service, receivedAt, file, line, others] = JSON.parse(json) as Small
  const claims: { signature?: Claim; passport?: Claim } = others
  if (signature !== undefined) claims.signature = signature
  if (passport !== undefined) claims.passport = passport
  return { key, span: { name, traceId, spanId, service, claims, receivedAt, place: { file, line } } }
}

/** The entry alone; `undefined` when it has none. */
export function readSignature(bytes: Buffer, at: number): string | undefined {
  const length = bytes.readUInt32LE(at + LENGTHS_AT + 4)
  if (length === ABSENT) return undefined
  const start = at + HEADER + bytes.readUInt32LE(at + LENGTHS_AT)
  return bytes.toString(encodingOf(bytes, at), start, start + length)
}

function encodingOf(bytes: Buffer, at: number): 'latin1' | 'utf8' {
  return bytes.readUInt32LE(at + ENCODING_AT) === 1 ? 'latin1' : 'utf8'
}

/** The trace alone: the first member of the JSON. Keys are hex, or nothing. */
export function readKey(bytes: Buffer, at: number): string {
  const start = at + HEADER + 2
  return bytes.toString('latin1', start, bytes.indexOf(QUOTE, start))
}

const QUOTE = 0x22

function textOf(claim: Claim | undefined): string {
  return typeof claim === 'string' ? claim : ''
}

/** What is no text, or an empty one, is small. */
function notText(name: 'signature' | 'passport', claim: Claim | undefined): Claims {
  return claim === undefined || (typeof claim === 'string' && claim !== '') ? {} : { [name]: claim }
}
