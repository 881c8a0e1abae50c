import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { partOf } from './otlp-json.js'
import { PartCount, TooManyParts } from './parts.js'
import { Unreadable } from './unreadable.js'

/** What an AnyValue is in OTLP/JSON; `{}` for kinds that no attribute of ours has. */
type JsonAnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | Readonly<Record<never, never>>

interface JsonKeyValue {
  key: string
  value: JsonAnyValue
}

/** Of the messages down to the spans, the fields that are known and passed over: nothing else could be spans. */
const SCHEMA_URL = 3
/** What `scopeSpans` were called, and how they were numbered. Both have the same fields. */
const INSTRUMENTATION_LIBRARY_SPANS = 1000

/**
 * An ExportTraceServiceRequest (opentelemetry/proto/collector/trace/v1) as OTLP/JSON has it, so that both are judged by the
 * same rules: `readOtlpJson` takes it. Of the fields of a span only those that an audit looks at; all others are passed over. Down to
 * the spans, there is none that is not known: it could hold some that would go unread.
 *
 * @throws {TooManyParts} before it takes more memory than an export may
 * @throws {Unreadable} for a field down to the spans that is not known, or one that may be there once and is there twice
 * @throws {Error} when it is not protobuf, or a text in it is not UTF-8
 */
export function decodeOtlpProtobuf(bytes: Uint8Array): { readonly resourceSpans: readonly object[] } {
  const resourceSpans: object[] = []
  const count = new PartCount()
  read(bytes, count, NOTHING_ELSE, {
    1: (field) => resourceSpans.push(readResourceSpans(field.bytes(), count)),
  })
  return { resourceSpans }
}

/**
 * What Tempo answers in protobuf: a trace by itself (`/api/traces/ID`), which is as an export, or with a word on what of it is missing
 * (`/api/v2/traces/ID`: TraceByIDResponse of its pkg/tempopb/tempo.proto).
 *
 * @throws as {@link decodeOtlpProtobuf}
 */
export function decodeTempoProtobuf(bytes: Uint8Array): {
  readonly resourceSpans: readonly object[]
  readonly faults: readonly string[]
} {
  const response = attempt(() => decodeTraceResponse(bytes))
  return response ?? { ...decodeOtlpProtobuf(bytes), faults: [] }
}

/**
 * First of all, as an export is never taken for it: spans of a resource are no trace. The other way round, the trace of a response would be
 * a resource without spans.
 */
function decodeTraceResponse(bytes: Uint8Array): {
  resourceSpans: readonly object[]
  faults: readonly string[]
} {
  const resourceSpans: object[] = []
  let [status, message]: [number | undefined, string | undefined] = [undefined, undefined]
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === WireType.LengthDelimited)
      resourceSpans.push(...decodeOtlpProtobuf(reader.bytes()).resourceSpans)
    else if (field === 2 && type === WireType.LengthDelimited) reader.skip(type, field)
    else if (field === 3 && type === WireType.Varint) status = once(status, 'status', reader.int32())
    else if (field === 4 && type === WireType.LengthDelimited)
      message = once(message, 'message', reader.string(true))
    else throw new Unreadable(`a field ${field} in it is not one that is known`)
  }
  return { resourceSpans, faults: partOf(status, message) }
}

/** @returns `undefined` where it is not of that form */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof TooManyParts) throw error
    return undefined
  }
}

function readResourceSpans(bytes: Uint8Array, count: PartCount): object {
  const attributes: JsonKeyValue[] = []
  const scopeSpans: object[] = []
  const spans = (field: BinaryReader) => scopeSpans.push(readScopeSpans(field.bytes(), count))
  read(bytes, count, [SCHEMA_URL], {
    // A message that comes in parts is all of them together.
    1: (field) => attributes.push(...readAttributes(field.bytes(), count)),
    2: spans,
    [INSTRUMENTATION_LIBRARY_SPANS]: spans,
  })
  return { resource: { attributes }, scopeSpans }
}

function readScopeSpans(bytes: Uint8Array, count: PartCount): object {
  let name: string | undefined
  const spans: object[] = []
  read(bytes, count, [SCHEMA_URL], {
    1: (field) => {
      name = once(name, 'scope', readScopeName(field.bytes(), count))
    },
    2: (field) => spans.push(readSpan(field.bytes(), count)),
  })
  return { scope: { name: name ?? '' }, spans }
}

function readScopeName(bytes: Uint8Array, count: PartCount): string {
  let name: string | undefined
  read(bytes, count, ANYTHING_ELSE, {
    1: (field) => {
      name = once(name, 'name', field.string(true))
    },
  })
  return name ?? ''
}

function readSpan(bytes: Uint8Array, count: PartCount): object {
  const span: { traceId?: string; spanId?: string; name?: string } = {}
  const attributes: JsonKeyValue[] = []
  read(bytes, count, ANYTHING_ELSE, {
    1: (field) => {
      span.traceId = once(span.traceId, 'trace id', hex(field.bytes()))
    },
    2: (field) => {
      span.spanId = once(span.spanId, 'span id', hex(field.bytes()))
    },
    5: (field) => {
      span.name = once(span.name, 'name', field.string(true))
    },
    9: (field) => attributes.push(readKeyValue(field.bytes(), count)),
  })
  return { ...span, attributes }
}

function readAttributes(bytes: Uint8Array, count: PartCount): JsonKeyValue[] {
  const attributes: JsonKeyValue[] = []
  read(bytes, count, ANYTHING_ELSE, { 1: (field) => attributes.push(readKeyValue(field.bytes(), count)) })
  return attributes
}

function readKeyValue(bytes: Uint8Array, count: PartCount): JsonKeyValue {
  let key: string | undefined
  let value: JsonAnyValue | undefined
  read(bytes, count, ANYTHING_ELSE, {
    1: (field) => {
      key = once(key, 'key', field.string(true))
    },
    2: (field) => {
      value = once(value, 'value', readAnyValue(field.bytes(), count))
    },
  })
  return { key: key ?? '', value: value ?? {} }
}

/** Lists and maps are passed over, however deep they are. */
function readAnyValue(bytes: Uint8Array, count: PartCount): JsonAnyValue {
  count.add()
  const reader = new BinaryReader(bytes)
  let value: JsonAnyValue | undefined
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    value = once(value, 'value', readOneOf(field, type, reader))
  }
  return value ?? {}
}

function readOneOf(field: number, type: WireType, reader: BinaryReader): JsonAnyValue {
  if (field === 1 && type === WireType.LengthDelimited) return { stringValue: reader.string(true) }
  if (field === 2 && type === WireType.Varint) return { boolValue: reader.bool() }
  if (field === 3 && type === WireType.Varint) return { intValue: String(reader.int64()) }
  if (field === 4 && type === WireType.Bit64) return { doubleValue: reader.double() }
  reader.skip(type, field)
  return {}
}

const NOTHING_ELSE: readonly number[] = []
const ANYTHING_ELSE = null

/**
 * @param beside fields that are passed over; `null` for any
 * @param own what becomes of the others, all of them length-delimited
 */
function read(
  bytes: Uint8Array,
  count: PartCount,
  beside: readonly number[] | null,
  own: Readonly<Record<number, (field: BinaryReader) => unknown>>,
): void {
  count.add()
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    const take = own[field]
    if (take !== undefined && type === WireType.LengthDelimited) take(reader)
    else if (take === undefined && (beside === null || beside.includes(field))) reader.skip(type, field)
    else throw new Unreadable(`a field ${field} in it is not one that is known`)
  }
}

/** Of what is there twice, one would be read and the other not. */
function once<T>(before: T | undefined, what: string, value: T): T {
  if (before === undefined) return value
  throw new Unreadable(`a ${what} in it is there twice`)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
