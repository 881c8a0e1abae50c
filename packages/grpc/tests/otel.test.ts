import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { metadataOf, send } from './support/echo.js'
import { lineage, World } from './support/world.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'

const exporter = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
let world: World

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  )
})
afterEach(() => world.close())
afterAll(() => {
  context.disable()
  propagation.disable()
})

it('K-SPAN K-AMBIENT a call’s span is within its caller’s, and so is what the handler does; no baggage comes along', async () => {
  world = new World(true, { telemetry: { tracerProvider } })
  const address = await world.serve({ origin: 'user_input' }, () => ({
    trace: trace.getSpanContext(context.active())?.traceId,
    baggage: propagation.getActiveBaggage()?.getAllEntries() ?? [],
  }))
  const metadata = metadataOf({ traceparent: `00-${TRACE}-${PARENT}-01`, baggage: `a=1,${await lineage()}` })
  const [answer] = await send(world.client(address), 'unary', 'm', { metadata })
  expect(answer).toEqual({ trace: TRACE, baggage: [] })
  const [span] = exporter.getFinishedSpans()
  expect([span?.name, span?.spanContext().traceId, span?.parentSpanContext?.spanId]).toEqual([
    'kest.verified./kest.test.Echo/Unary',
    TRACE,
    PARENT,
  ])
})
