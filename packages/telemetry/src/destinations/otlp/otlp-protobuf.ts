import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { Attributes, AttributeValue, Link } from '@opentelemetry/api'
import type { ReadableSpan, TimedEvent } from '../../spans/readable-span.js'
import { byEmitter, flagsOf, nanoseconds } from '../otlp-json.js'

/**
 * Spans as one message of OTLP in protobuf (`ExportTraceServiceRequest`). Field numbers are those of
 * `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto`.
 */
export function otlpProtobuf(spans: readonly ReadableSpan[]): Uint8Array {
  const writer = new BinaryWriter()
  for (const [first, ...others] of byEmitter(spans).values()) {
    if (first === undefined) continue
    const { resource, instrumentationScope: scope } = first
    message(writer, 1, () => {
      message(writer, 1, () => writeAttributes(writer, 1, resource.attributes as Attributes))
      message(writer, 2, () => {
        message(writer, 1, () => {
          writeText(writer, 1, scope.name)
          writeText(writer, 2, scope.version ?? '')
        })
        for (const span of [first, ...others]) message(writer, 2, () => writeSpan(writer, span))
      })
    })
  }
  return writer.finish()
}

function writeSpan(writer: BinaryWriter, span: ReadableSpan): void {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  const parent = span.parentSpanContext
  writeId(writer, 1, traceId)
  writeId(writer, 2, spanId)
  writeText(writer, 3, traceState?.serialize() ?? '')
  if (parent !== undefined) writeId(writer, 4, parent.spanId)
  writeText(writer, 5, span.name)
  // In OTLP 0 is "unspecified".
  writeCount(writer, 6, span.kind + 1)
  writer.tag(7, WireType.Bit64).fixed64(nanoseconds(span.startTime))
  writer.tag(8, WireType.Bit64).fixed64(nanoseconds(span.endTime))
  writeAttributes(writer, 9, span.attributes)
  writeCount(writer, 10, span.droppedAttributesCount)
  for (const event of span.events) message(writer, 11, () => writeEvent(writer, event))
  writeCount(writer, 12, span.droppedEventsCount)
  for (const link of span.links) message(writer, 13, () => writeLink(writer, link))
  writeCount(writer, 14, span.droppedLinksCount)
  message(writer, 15, () => {
    writeText(writer, 2, span.status.message ?? '')
    writeCount(writer, 3, span.status.code)
  })
  writer.tag(16, WireType.Bit32).fixed32(flagsOf(traceFlags, parent?.isRemote))
}

function writeEvent(writer: BinaryWriter, event: TimedEvent): void {
  writer.tag(1, WireType.Bit64).fixed64(nanoseconds(event.time))
  writeText(writer, 2, event.name)
  writeAttributes(writer, 3, event.attributes ?? {})
  writeCount(writer, 4, event.droppedAttributesCount ?? 0)
}

function writeLink(writer: BinaryWriter, { context, attributes, droppedAttributesCount }: Link): void {
  writeId(writer, 1, context.traceId)
  writeId(writer, 2, context.spanId)
  writeText(writer, 3, context.traceState?.serialize() ?? '')
  writeAttributes(writer, 4, attributes ?? {})
  writeCount(writer, 5, droppedAttributesCount ?? 0)
  writer.tag(6, WireType.Bit32).fixed32(flagsOf(context.traceFlags, context.isRemote))
}

function writeAttributes(writer: BinaryWriter, field: number, attributes: Attributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    message(writer, field, () => {
      writeText(writer, 1, key)
      message(writer, 2, () => writeValue(writer, value))
    })
  }
}

function writeValue(writer: BinaryWriter, value: AttributeValue | null | undefined): void {
  if (typeof value === 'string') writer.tag(1, WireType.LengthDelimited).string(value)
  else if (typeof value === 'boolean') writer.tag(2, WireType.Varint).bool(value)
  else if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) writer.tag(3, WireType.Varint).int64(value)
    else writer.tag(4, WireType.Bit64).double(value)
  } else if (Array.isArray(value)) {
    message(writer, 5, () => {
      for (const item of value) message(writer, 1, () => writeValue(writer, item))
    })
  }
}

function message(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  write()
  writer.join()
}

/** Proto3 leaves out what is empty, here and where a number is 0. */
function writeText(writer: BinaryWriter, field: number, text: string): void {
  if (text !== '') writer.tag(field, WireType.LengthDelimited).string(text)
}

function writeCount(writer: BinaryWriter, field: number, count: number): void {
  if (count !== 0) writer.tag(field, WireType.Varint).uint32(count)
}

function writeId(writer: BinaryWriter, field: number, hex: string): void {
  writer.tag(field, WireType.LengthDelimited).bytes(Buffer.from(hex, 'hex'))
}
