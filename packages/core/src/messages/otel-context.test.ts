import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LABEL } from '../entry/entry.js'
import { MessageWorld, ORDERS } from '../testing/message-world.js'

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
})
afterAll(() => context.disable())

const tracer = new BasicTracerProvider().getTracer('test')

async function tracesOf(messages: number): Promise<(string | undefined)[]> {
  const edge = new MessageWorld().reader({ origin: 'internet' })
  const traces: (string | undefined)[] = []
  for (let n = 0; n < messages; n++) {
    const { entry } = await edge.receive({ headers: {}, body: 'x', from: ORDERS })
    traces.push(entry.entry.labels[LABEL.traceId])
  }
  return traces
}

it('K-TRACE begins a trace for each message, not that of whoever connected once', async () => {
  const connecting = tracer.startSpan('connect')
  connecting.end()
  const traces = await context.with(trace.setSpan(context.active(), connecting), () => tracesOf(2))
  expect(new Set([...traces, connecting.spanContext().traceId]).size).toBe(3)
})

it('K-TRACE takes the trace of a span that is under way, as instrumentation has it', async () => {
  const processing = tracer.startSpan('process')
  const traces = await context.with(trace.setSpan(context.active(), processing), () => tracesOf(1))
  expect(traces).toEqual([processing.spanContext().traceId])
  processing.end()
})
