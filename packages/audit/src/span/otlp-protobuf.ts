import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { PartCount } from './parts.js'

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

/**
 * An ExportTraceServiceRequest (opentelemetry/proto/collector/trace/v1) as OTLP/JSON has it, so that both are judged by the
 * same rules: `readOtlpJson` takes it. Of its fields only those that an audit looks at; all others are passed over.
 *
 * @throws {TooManyParts} before it takes more memory than an export may
 * @throws {Error} when it is not protobuf, or a text in it is not UTF-8
 */
export function decodeOtlpProtobuf(bytes: Uint8Array): { readonly resourceSpans: readonly object[] } {
  const resourceSpans: object[] = []
  const count = new PartCount()
  read(bytes, count, (field, reader) => {
    if (field !== 1) return false
    resourceSpans.push(readResourceSpans(reader.bytes(), count))
    return true
  })
  return { resourceSpans }
}

function readResourceSpans(bytes: Uint8Array, count: PartCount): object {
  const attributes: JsonKeyValue[] = []
  const scopeSpans: object[] = []
  read(bytes, count, (field, reader) => {
    // A message that comes in parts is all of them together.
    if (field === 1) attributes.push(...readAttributes(reader.bytes(), count))
    else if (field === 2) scopeSpans.push(readScopeSpans(reader.bytes(), count))
    else return false
    return true
  })
  return { resource: { attributes }, scopeSpans }
}

function readScopeSpans(bytes: Uint8Array, count: PartCount): object {
  let name: string | undefined
  const spans: object[] = []
  read(bytes, count, (field, reader) => {
    if (field === 1) name = readScopeName(reader.bytes(), count) ?? name
    else if (field === 2) spans.push(readSpan(reader.bytes(), count))
    else return false
    return true
  })
  return { scope: { name }, spans }
}

function readScopeName(bytes: Uint8Array, count: PartCount): string | undefined {
  let name: string | undefined
  read(bytes, count, (field, reader) => {
    if (field !== 1) return false
    name = reader.string(true)
    return true
  })
  return name
}

function readSpan(bytes: Uint8Array, count: PartCount): object {
  const span = { traceId: '', spanId: '', name: '', attributes: [] as JsonKeyValue[] }
  read(bytes, count, (field, reader) => {
    if (field === 1) span.traceId = hex(reader.bytes())
    else if (field === 2) span.spanId = hex(reader.bytes())
    else if (field === 5) span.name = reader.string(true)
    else if (field === 9) span.attributes.push(readKeyValue(reader.bytes(), count))
    else return false
    return true
  })
  return span
}

function readAttributes(bytes: Uint8Array, count: PartCount): JsonKeyValue[] {
  const attributes: JsonKeyValue[] = []
  read(bytes, count, (field, reader) => {
    if (field !== 1) return false
    attributes.push(readKeyValue(reader.bytes(), count))
    return true
  })
  return attributes
}

function readKeyValue(bytes: Uint8Array, count: PartCount): JsonKeyValue {
  const attribute: JsonKeyValue = { key: '', value: {} }
  read(bytes, count, (field, reader) => {
    if (field === 1) attribute.key = reader.string(true)
    else if (field === 2) attribute.value = readAnyValue(reader.bytes(), count)
    else return false
    return true
  })
  return attribute
}

/** Of a `oneof` the last counts. Lists and maps are passed over, however deep they are. */
function readAnyValue(bytes: Uint8Array, count: PartCount): JsonAnyValue {
  count.add()
  const reader = new BinaryReader(bytes)
  let value: JsonAnyValue = {}
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === WireType.LengthDelimited) value = { stringValue: reader.string(true) }
    else if (field === 2 && type === WireType.Varint) value = { boolValue: reader.bool() }
    else if (field === 3 && type === WireType.Varint) value = { intValue: String(reader.int64()) }
    else if (field === 4 && type === WireType.Bit64) value = { doubleValue: reader.double() }
    else {
      if (field <= 7) value = {}
      reader.skip(type, field)
    }
  }
  return value
}

/** @param take reads a length-delimited field that it knows, and answers whether it did */
function read(
  bytes: Uint8Array,
  count: PartCount,
  take: (field: number, reader: BinaryReader) => boolean,
): void {
  count.add()
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (type !== WireType.LengthDelimited || !take(field, reader)) reader.skip(type, field)
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
