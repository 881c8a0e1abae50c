import { createTraceState, type Span, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { describe, expect, it } from 'vitest'
import { otlpLine } from './otlp-json.js'

function spanOf(
  describeSpan: (span: Span) => void,
  scope: [string, string?] = ['kest.core', '1.0'],
): ReadableSpan {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'orders', 'process.pid': 7 }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const span = provider.getTracer(...scope).startSpan('kest.verified.x', { kind: SpanKind.SERVER })
  describeSpan(span)
  span.end()
  return exporter.getFinishedSpans()[0] as ReadableSpan
}

/** OpenTelemetry's serializer writes members that are empty, and integers as numbers: OTLP/JSON allows both spellings. */
function asOpenTelemetry(span: ReadableSpan): unknown {
  const text = new TextDecoder().decode(JsonTraceSerializer.serializeRequest([span]))
  return JSON.parse(text, (key, value) => {
    if (key === 'intValue') return String(value)
    if (/^dropped.*Count$/.test(key) && value === 0) return undefined
    if ((key === 'events' || key === 'links') && value.length === 0) return undefined
    if (key === 'status' && value.code === 0) return {}
    return value
  })
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

describe('a line of OTLP/JSON', () => {
  it.each<[string, (span: Span) => void]>([
    ['nothing but a name', () => {}],
    [
      'every kind of attribute',
      (span) => span.setAttributes({ s: 'é"\\\u2028😀\n', i: 5, d: 0.5, b: false, l: ['x', 'y'] }),
    ],
    ['an error', (span) => span.setStatus({ code: SpanStatusCode.ERROR, message: 'no' })],
    ['an event', (span) => span.addEvent('happened', { what: 'this' })],
    ['a link', (span) => span.addLink(linked)],
  ])('says what OpenTelemetry’s own serializer says of a span with %s', (_, describeSpan) => {
    const span = spanOf(describeSpan)
    expect(JSON.parse(otlpLine(span))).toEqual(asOpenTelemetry(span))
  })

  it('is one line, whatever a span holds', () => {
    expect(otlpLine(spanOf((span) => span.setAttribute('a', 'b\r\n\u0085\u2028c')))).not.toMatch(/[\r\n]/)
  })

  it('writes integers as strings, and numbers that JSON cannot say as ProtoJSON does', () => {
    const { attributes } = JSON.parse(
      otlpLine(spanOf((span) => span.setAttributes({ i: 5, big: 1e21, inf: Number.POSITIVE_INFINITY }))),
    ).resourceSpans[0].scopeSpans[0].spans[0]
    expect(attributes.map(({ value }: { value: object }) => value)).toEqual([
      { intValue: '5' },
      { doubleValue: 1e21 },
      { doubleValue: 'Infinity' },
    ])
  })

  it('names the scope and version of each span', () => {
    const scopes = [['kest.core', '1.0'], ['kest.core', '2.0'], ['other']] as [string, string?][]
    const written = scopes.map(
      (scope) => JSON.parse(otlpLine(spanOf(() => {}, scope))).resourceSpans[0].scopeSpans[0].scope,
    )
    expect(written).toEqual([
      { name: 'kest.core', version: '1.0' },
      { name: 'kest.core', version: '2.0' },
      { name: 'other' },
    ])
  })
})
