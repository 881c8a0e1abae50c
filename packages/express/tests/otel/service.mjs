// A service with auto-instrumentation, as an operator would start one. Prints its URL; answers after having called the
// URL of the request's `x-target`, by fetch and by node:http. Arguments: major of Express, and
//   bare               without Kest
//   kest               reads the body before the protected handler
//   listener           reads it in the handler, and calls from a listener of the request
//   listener-filtered  so, with the filtering propagator
import { createRequire } from 'node:module'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const [, , major, kind] = process.argv
const { createKest, createKeySource, filterKestBaggage } = await import('@kest/core')
const { MockIdentityProvider, MockPolicyEngine } = await import('@kest/core/testing')
const { kestExpress, protect } = await import('@kest/express')

const propagator = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
})
const exporter = new InMemorySpanExporter()
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register({
  contextManager: new AsyncLocalStorageContextManager(),
  propagator: kind === 'listener-filtered' ? filterKestBaggage(propagator) : propagator,
})
registerInstrumentations({ instrumentations: [new HttpInstrumentation(), new UndiciInstrumentation()] })

// What is patched must be loaded behind the instrumentation.
const require = createRequire(import.meta.url)
const http = require('node:http')
const express = require(major === '4' ? 'express4' : 'express')

const caller = new MockIdentityProvider('spiffe://kest.test/caller')
const kest = createKest({
  identity: new MockIdentityProvider('service'),
  engine: new MockPolicyEngine(),
  trust: createKeySource({ [caller.getWorkloadId()]: [caller.getPublicJwk()] }),
})

const readBody = (req, done) => req.resume().on('end', done)

const app = express()
if (kind !== 'bare') app.use(kestExpress({ kest }))
// A reader written by hand, behind which the context is that of the instrumentation.
if (!kind.startsWith('listener')) app.use((req, _res, next) => void readBody(req, () => next()))
app.post('/call', ...(kind === 'bare' ? [] : [protect({ policy: 'p' })]), async (req, res) => {
  const audit = exporter.getFinishedSpans().find(({ name }) => name === 'kest.verified.POST /call')
  const target = req.get('x-target')
  const call = async () => {
    await (await fetch(`${target}/by-fetch`)).text()
    await new Promise((resolve, reject) => {
      http.get(`${target}/by-http`, (answer) => answer.resume().on('end', resolve)).on('error', reject)
    })
    res.json({
      audit: audit && { trace: audit.spanContext().traceId, parent: audit.parentSpanContext?.spanId },
    })
  }
  if (kind.startsWith('listener')) readBody(req, call)
  else await call()
})
const server = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
