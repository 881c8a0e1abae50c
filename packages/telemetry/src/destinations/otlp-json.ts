import type { Attributes, AttributeValue, HrTime, Link } from '@opentelemetry/api'
import type { ReadableSpan, Resource, TimedEvent } from '../spans/readable-span.js'

/** What W3C flags become in OTLP: the trace's own, and whether the parent is remote is known, and so. */
const HAS_IS_REMOTE = 0x100
const IS_REMOTE = 0x200

const heads = new WeakMap<Resource, Map<string, string>>()

/**
 * One span as one line of OTLP/JSON (`TracesData`), without the line's end, as the Collector's file exporter writes it:
 * ids in hex, 64-bit integers as strings, no member that is empty. A span to a line: a line that is torn or corrupt
 * costs one span.
 */
export function otlpLine(span: ReadableSpan): string {
  return `{"resourceSpans":[${headOf(span)}${JSON.stringify(otlpSpan(span))}]}]}]}`
}

/** Spans as one message of OTLP/JSON (`ExportTraceServiceRequest`). */
export function otlpMessage(spans: readonly ReadableSpan[]): string {
  const groups = [...byEmitter(spans)].map(
    ([head, group]) => `${head}${group.map((span) => JSON.stringify(otlpSpan(span))).join(',')}]}]}`,
  )
  return `{"resourceSpans":[${groups.join(',')}]}`
}

/** Spans of one resource and scope together, in their order, under a text that tells them from others. */
export function byEmitter(spans: readonly ReadableSpan[]): Map<string, ReadableSpan[]> {
  const groups = new Map<string, ReadableSpan[]>()
  for (const span of spans) {
    const head = headOf(span)
    const group = groups.get(head)
    if (group === undefined) groups.set(head, [span])
    else group.push(span)
  }
  return groups
}

/** Everything of `ResourceSpans` before the span, which is the same for all of a service. */
function headOf({ resource, instrumentationScope: { name, version = '' } }: ReadableSpan): string {
  let ofResource = heads.get(resource)
  if (ofResource === undefined) {
    ofResource = new Map()
    heads.set(resource, ofResource)
  }
  const key = `${name}@${version}`
  let head = ofResource.get(key)
  if (head === undefined) {
    const scope = { name, ...(version === '' ? {} : { version }) }
    const attributes = JSON.stringify(otlpAttributes(resource.attributes as Attributes))
    head = `{"resource":{"attributes":${attributes}},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[`
    ofResource.set(key, head)
  }
  return head
}

function otlpSpan(span: ReadableSpan): object {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  const parent = span.parentSpanContext
  return {
    traceId,
    spanId,
    ...(traceState === undefined ? {} : { traceState: traceState.serialize() }),
    ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
    flags: flagsOf(traceFlags, parent?.isRemote),
    name: span.name,
    // In OTLP 0 is "unspecified".
    kind: span.kind + 1,
    startTimeUnixNano: nanoseconds(span.startTime),
    endTimeUnixNano: nanoseconds(span.endTime),
    attributes: otlpAttributes(span.attributes),
    ...unlessZero('droppedAttributesCount', span.droppedAttributesCount),
    ...unlessEmpty('events', span.events.map(otlpEvent)),
    ...unlessZero('droppedEventsCount', span.droppedEventsCount),
    ...unlessEmpty('links', span.links.map(otlpLink)),
    ...unlessZero('droppedLinksCount', span.droppedLinksCount),
    status: {
      ...(span.status.message === undefined ? {} : { message: span.status.message }),
      ...unlessZero('code', span.status.code),
    },
  }
}

function otlpEvent({ time, name, attributes = {}, droppedAttributesCount = 0 }: TimedEvent): object {
  return {
    timeUnixNano: nanoseconds(time),
    name,
    ...unlessEmpty('attributes', otlpAttributes(attributes)),
    ...unlessZero('droppedAttributesCount', droppedAttributesCount),
  }
}

function otlpLink({ context, attributes = {}, droppedAttributesCount = 0 }: Link): object {
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(context.traceState === undefined ? {} : { traceState: context.traceState.serialize() }),
    ...unlessEmpty('attributes', otlpAttributes(attributes)),
    ...unlessZero('droppedAttributesCount', droppedAttributesCount),
    flags: flagsOf(context.traceFlags, context.isRemote),
  }
}

function otlpAttributes(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: otlpValue(value) }))
}

function otlpValue(value: AttributeValue | null | undefined): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return { intValue: String(value) }
    // JSON has no other spelling of them (ProtoJSON).
    return { doubleValue: Number.isFinite(value) ? value : String(value) }
  }
  if (Array.isArray(value)) return { arrayValue: { values: value.map((item) => otlpValue(item)) } }
  return {}
}

export function flagsOf(traceFlags: number, isRemote = false): number {
  return (traceFlags & 0xff) | HAS_IS_REMOTE | (isRemote ? IS_REMOTE : 0)
}

export function nanoseconds([seconds, nanos]: HrTime): string {
  return `${seconds}${String(nanos).padStart(9, '0')}`
}

function unlessZero(name: string, count: number): object {
  return count === 0 ? {} : { [name]: count }
}

function unlessEmpty(name: string, list: readonly object[]): object {
  return list.length === 0 ? {} : { [name]: list }
}
