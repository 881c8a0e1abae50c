import { currentState } from '@kest/core'
import { context, createContextKey, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { lineage, World } from './support/world.js'

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
})
afterAll(() => context.disable())

const tracer = new BasicTracerProvider().getTracer('test')
const KEY = createContextKey('test')

it("K-AMBIENT keeps OpenTelemetry's own context for the handler, with Kest's state in it", async () => {
  const world = new World()
  const app = await world.app({})
  app.addHook('onRequest', (_request, _reply, done) => {
    context.with(context.active().setValue(KEY, 'mine'), done)
  })
  app.get('/x', { config: { kest: { policy: 'test' } } }, async () => context.active().getValue(KEY))
  expect((await app.inject({ url: '/x', headers: await lineage() })).body).toBe('mine')
})

it("K-AMBIENT restores the request's span where a queue lost it", async () => {
  const world = new World()
  const app = await world.app({})
  const queue: (() => void)[] = []
  const timer = setInterval(() => queue.shift()?.(), 1)
  app.addHook('preHandler', (_request, _reply, done) => void queue.push(() => done()))
  app.get('/x', { config: { kest: { policy: 'test' } } }, async () => ({
    span: trace.getActiveSpan()?.spanContext().spanId,
    operation: currentState()?.frame.lineage.tips[0]?.entry.operation,
  }))
  const span = tracer.startSpan('server')
  await app.ready()
  const headers = await lineage()
  const response = await context.with(trace.setSpan(context.active(), span), async () => {
    return await app.inject({ url: '/x', headers })
  })
  clearInterval(timer)
  expect(response.json()).toEqual({ span: span.spanContext().spanId, operation: 'GET /x' })
})
