import {
  context,
  createTraceState,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ReadableSpan } from './readable-span.js'
import { AuditTracerProvider } from './tracer-provider.js'

function setUp() {
  const ended: ReadableSpan[] = []
  const provider = new AuditTracerProvider({ attributes: {} }, (span) => ended.push(span))
  return { ended, tracer: provider.getTracer('kest.core', '1') }
}

const parent: SpanContext = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.NONE,
  traceState: createTraceState('a=1'),
}

describe('a span of the trail', () => {
  it('is of the trace in its context, recorded though its parent is not sampled', () => {
    const { ended, tracer } = setUp()
    tracer.startSpan('x', {}, trace.setSpanContext(ROOT_CONTEXT, parent)).end()
    const [span] = ended
    expect(span?.parentSpanContext).toEqual(parent)
    expect(span?.spanContext()).toMatchObject({ traceId: parent.traceId, traceFlags: TraceFlags.SAMPLED })
    expect(span?.spanContext().spanId).toMatch(/^(?!b7ad6b7169203331)[0-9a-f]{16}$/)
    expect(span?.spanContext().traceState?.serialize()).toBe('a=1')
  })

  it.each([
    ['nothing', ROOT_CONTEXT, {}],
    ['an invalid parent', trace.setSpanContext(ROOT_CONTEXT, { ...parent, spanId: '0000000000000000' }), {}],
    ['a parent, told to be a root', trace.setSpanContext(ROOT_CONTEXT, parent), { root: true }],
  ])('begins a trace where its context has %s', (_, within, options) => {
    const { ended, tracer } = setUp()
    tracer.startSpan('x', options, within).end()
    expect(ended[0]?.parentSpanContext).toBeUndefined()
    expect(ended[0]?.spanContext().traceId).toMatch(/^(?!0af7651916cd43dd)[0-9a-f]{32}$/)
  })

  it('keeps what it is told until it ends, and ends once', () => {
    const { ended, tracer } = setUp()
    const span = tracer.startSpan('x', { kind: SpanKind.SERVER, attributes: { a: 1 }, startTime: [5, 7] })
    span
      .setAttribute('b', 'x')
      .setAttributes({ c: [1], none: undefined })
      .updateName('y')
    span.addEvent('e', { f: 1 }, [6, 0]).addEvent('g', 1_900_000_000_000)
    span.recordException(new TypeError('no'))
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'm' }).addLink({ context: parent })
    expect(span.isRecording()).toBe(true)
    span.end([8, 6])
    span.end()
    span.setAttribute('d', 1).addEvent('late').updateName('z').setStatus({ code: SpanStatusCode.OK })
    expect(span.isRecording()).toBe(false)
    expect(ended).toHaveLength(1)
    expect(ended[0]).toMatchObject({
      name: 'y',
      kind: SpanKind.SERVER,
      attributes: { a: 1, b: 'x', c: [1] },
      startTime: [5, 7],
      endTime: [8, 6],
      duration: [2, 999_999_999],
      status: { code: SpanStatusCode.ERROR, message: 'm' },
      links: [{ context: parent }],
    })
    expect(ended[0]?.events.map(({ name, time }) => [name, time[0]]).slice(0, 2)).toEqual([
      ['e', 6],
      ['g', 1_900_000_000],
    ])
    expect(ended[0]?.events[2]?.attributes).toMatchObject({
      'exception.type': 'TypeError',
      'exception.message': 'no',
    })
  })

  it('lasts from now to then, never less than nothing', () => {
    const { ended, tracer } = setUp()
    const before = Date.now()
    tracer.startSpan('x').end()
    const { startTime, endTime, duration } = ended[0] as ReadableSpan
    expect(startTime[0]).toBeGreaterThanOrEqual(Math.floor(before / 1000))
    expect(endTime[0] - startTime[0] + (endTime[1] - startTime[1]) / 1e9).toBeGreaterThanOrEqual(0)
    expect(duration[0]).toBeLessThan(60)
    expect(startTime[1]).toBeLessThan(1e9)
  })

  it('is active where it is asked to be', () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    onTestFinished(() => context.disable())
    const { tracer } = setUp()
    const seen = [
      tracer.startActiveSpan('x', (span) => [span, trace.getActiveSpan()]),
      tracer.startActiveSpan('x', {}, (span) => [span, trace.getActiveSpan()]),
      tracer.startActiveSpan('x', {}, ROOT_CONTEXT, (span) => [span, trace.getActiveSpan()]),
    ]
    for (const [span, active] of seen) expect(active).toBe(span)
  })
})
