import { context, propagation, type Span, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { RequestHandler } from 'express'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { kestExpress, protect } from '../src/index.js'
import { createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register({ contextManager: new AsyncLocalStorageContextManager() })
beforeEach(() => exporter.reset())
afterAll(() => provider.shutdown())

/** What an HTTP instrumentation does with a request that carries Kest's members. */
const spans: Span[] = []
const instrumentation: RequestHandler = (_req, _res, next) => {
  const span = trace.getTracer('http').startSpan('GET')
  spans.push(span)
  const baggage = propagation.createBaggage({
    tenant: { value: '7' },
    'kest.passport': { value: '[]' },
    'Kest.User': { value: 'mallory' },
  })
  context.with(propagation.setBaggage(trace.setSpan(context.active(), span), baggage), next)
}

/** Goes on from the socket's own context. */
const reader: RequestHandler = (req, _res, next) => {
  req.resume().on('end', () => next())
}

describe.each(MAJORS)('with an OpenTelemetry SDK, on Express $major', ({ express }) => {
  async function call(between: RequestHandler[]) {
    const { kest } = createService()
    const app = express()
    app.use(instrumentation, kestExpress({ kest, origin: 'user_input' }), ...between)
    app.post('/x', protect({ policy: 'p' }), (_req, res) => {
      res.json({
        baggage: propagation
          .getActiveBaggage()
          ?.getAllEntries()
          .map(([key]) => key),
        span: trace.getActiveSpan()?.spanContext().spanId,
        finished: exporter.getFinishedSpans().map(({ name }) => name),
      })
    })
    const { url } = await serve(app)
    return (await fetch(`${url}/x`, { method: 'POST', body: 'hello' })).json()
  }

  it.each([
    ['nothing that loses context', []],
    ['a body reader that loses context', [reader]],
  ])('behind %s the handler has the request’s span, and baggage without kest.*', async (_what, between) => {
    const answer = await call(between)
    expect(answer).toEqual({
      baggage: ['tenant'],
      span: spans.at(-1)?.spanContext().spanId,
      finished: ['kest.verified.POST /x'],
    })
  })

  it.each([
    ['nothing that loses context', []],
    ['a body reader that loses context', [reader]],
  ])('F-TE-01, K-SPAN behind %s the audit span is the request’s child', async (_what, between) => {
    await call(between)
    const [audit] = exporter.getFinishedSpans()
    const http = spans.at(-1)!.spanContext()
    expect(audit?.name).toBe('kest.verified.POST /x')
    expect(audit?.parentSpanContext?.spanId).toBe(http.spanId)
    expect(audit?.spanContext().traceId).toBe(http.traceId)
    expect(audit?.attributes['kest.decision']).toBe('allow')
  })
})
