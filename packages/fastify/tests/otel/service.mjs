// A service in a process of its own, because instrumentation patches modules. Its set-up comes as arguments; it prints
// the address it listens on, and answers what was seen while it handled a request.
//
//   node service.mjs <address of a third party> [sdk] [http] [undici] [fastify-first | fastify-last] [no-kest]

import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const [thirdParty, ...setup] = process.argv.slice(2)
const has = (part) => setup.includes(part)

const exporter = new InMemorySpanExporter()
if (has('sdk')) {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register({
    contextManager: new AsyncLocalStorageContextManager(),
    propagator: new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  })
}
registerInstrumentations({
  instrumentations: [
    ...(has('http') ? [new HttpInstrumentation()] : []),
    ...(has('undici') ? [new UndiciInstrumentation()] : []),
  ],
})

// Only now, so that instrumentation sees these being loaded.
const { default: Fastify } = await import('fastify')
const { FastifyOtelInstrumentation } = await import('@fastify/otel')
const { createKest, createKeySource, currentState } = await import('@kest/core')
const { MockIdentityProvider, RecordingLogger } = await import('@kest/core/testing')
const { default: kestFastify } = await import('@kest/fastify')

/** Calls the third party from some place of a request. */
const call = async (place) => void (await fetch(`${thirdParty}/${place}`).then((response) => response.text()))

const gateway = new MockIdentityProvider('gateway')
const kest = createKest({
  identity: new MockIdentityProvider('orders'),
  engine: {
    evaluate: async () => {
      await call('engine')
      return true
    },
  },
  trust: {
    ...createKeySource({ [gateway.getWorkloadId()]: [gateway.getPublicJwk()] }),
    find: async () => {
      await call('keys')
      return createKeySource({ [gateway.getWorkloadId()]: [gateway.getPublicJwk()] }).find({
        principal: gateway.getWorkloadId(),
      })
    },
  },
  logger: new RecordingLogger(),
})

const app = Fastify()
const otel = async () => {
  const plugin = new FastifyOtelInstrumentation()
  if (has('sdk')) plugin.setTracerProvider(trace.getTracerProvider())
  await app.register(plugin.plugin())
}
if (has('fastify-first')) await otel()
if (!has('no-kest')) await app.register(kestFastify, { kest })
if (has('fastify-last')) await otel()

app.addHook('onRequest', () => call('onRequest'))
app.addHook('preParsing', () => call('preParsing'))
app.addHook('preValidation', () => call('preValidation'))
app.addHook('preHandler', () => call('preHandler'))
app.addHook('onError', () => call('onError'))
app.addHook('onSend', () => call('onSend'))
app.addHook('onResponse', () => call('onResponse'))
app.addHook('onRequestAbort', () => call('onRequestAbort'))

app.post('/x', {
  config: { kest: { policy: 'test' } },
  preHandler: () => call('routePreHandler'),
  handler: async () => {
    const finished = exporter
      .getFinishedSpans()
      .map((span) => ({ name: span.name, trace: span.spanContext().traceId }))
    await call('handler')
    await wait(2)
    await call('handlerLater')
    const baggage =
      propagation
        .getActiveBaggage()
        ?.getAllEntries()
        .map(([key]) => key) ?? []
    const tip = currentState()?.frame.lineage.tips[0]?.entry
    return {
      finished,
      baggage,
      operation: tip?.operation ?? null,
      otel: tip?.otel_context ?? null,
      trace: trace.getActiveSpan()?.spanContext().traceId ?? null,
    }
  },
})
app.post('/open', { config: { kest: false } }, async () => {
  await call('open')
  return {}
})
app.get('/failing', {
  config: { kest: { policy: 'test' } },
  // A time-out fires in the context from before the request was judged, and so does its error handler.
  handlerTimeout: 50,
  errorHandler: async (error, _request, reply) => {
    await call('errorHandler')
    return reply.code(error.statusCode).send({})
  },
  handler: (_request, reply) => once(reply.raw, 'close'),
})
app.get('/slow', { config: { kest: { policy: 'test' } } }, async (_request, reply) => {
  await call('slow')
  // Until the client has left.
  await once(reply.raw, 'close')
  return {}
})
app.setNotFoundHandler(async (_request, reply) => {
  await call('notFound')
  return reply.code(404).send({})
})

process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
process.stdin.on('end', () => process.exit(0)).resume()
