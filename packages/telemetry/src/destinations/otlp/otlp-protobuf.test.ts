import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { createTraceState, type Span, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { describe, expect, it } from 'vitest'
import { endedSpan } from '../../../tests/support/ended-span.js'
import { otlpProtobuf } from './otlp-protobuf.js'

/** Which fields of a message are messages themselves. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  request: { 1: 'ofResource' },
  ofResource: { 1: 'resource', 2: 'ofScope' },
  resource: { 1: 'attribute' },
  ofScope: { 1: 'scope', 2: 'span' },
  scope: {},
  span: { 9: 'attribute', 11: 'event', 13: 'link', 15: 'status' },
  event: { 3: 'attribute' },
  link: { 4: 'attribute' },
  status: {},
  attribute: { 2: 'value' },
  value: { 5: 'list' },
  list: { 1: 'value' },
}

/** Every field that says something: outside of a value, proto3 takes 0 for absent. */
function read(bytes: Uint8Array, kind = 'request'): unknown[] {
  const reader = new BinaryReader(bytes)
  const fields: unknown[] = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    const message = MESSAGES[kind]?.[field]
    if (message !== undefined) fields.push([field, read(reader.bytes(), message)])
    else {
      const value = reader.skip(type)
      const says = kind === 'value' || type !== WireType.Varint || value.some((byte) => byte !== 0)
      if (says) fields.push([field, Buffer.from(value).toString('hex')])
    }
  }
  return fields
}

const linked = {
  context: {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: TraceFlags.SAMPLED,
    traceState: createTraceState('a=1'),
    isRemote: true,
  },
  attributes: { why: 'because' },
}

describe('OTLP in protobuf', () => {
  it.each<[string, (span: Span) => void]>([
    ['nothing but a name', () => {}],
    [
      'every kind of attribute',
      (span) =>
        span.setAttributes({
          s: 'é"\\\u2028😀\n',
          empty: '',
          i: 5,
          negative: -3,
          zero: 0,
          d: 0.5,
          big: 1e21,
          inf: Number.POSITIVE_INFINITY,
          b: false,
          l: ['x', 'y'],
        }),
    ],
    ['an error', (span) => span.setStatus({ code: SpanStatusCode.ERROR, message: 'no' })],
    ['an event', (span) => span.addEvent('happened', { what: 'this' })],
    ['a link', (span) => span.addLink(linked)],
  ])('says what OpenTelemetry’s own serializer says of a span with %s', (_, describeSpan) => {
    const spans = [
      endedSpan(describeSpan, { kind: SpanKind.SERVER }),
      endedSpan(describeSpan, { parent: linked.context }),
    ]
    for (const span of spans) {
      const theirs = ProtobufTraceSerializer.serializeRequest([span as never]) as Uint8Array
      expect(read(otlpProtobuf([span]))).toEqual(read(theirs))
    }
  })

  it('has spans of one emitter together, in their order', () => {
    const spans = ['a', 'b', 'c'].map((name) => endedSpan(() => {}, { name }))
    const theirs = ProtobufTraceSerializer.serializeRequest(spans as never) as Uint8Array
    expect(read(otlpProtobuf(spans))).toEqual(read(theirs))
  })
})
