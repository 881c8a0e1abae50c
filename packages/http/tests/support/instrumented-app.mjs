/**
 * A service under auto-instrumentation of node:http, in a process of its own, patched by Kest before or after it. It receives
 * a request with somebody's `kest.*` members, and calls on. Prints what instrumentation has made of the inbound header.
 *
 * node instrumented-app.mjs <before | after | agent> <origin in scope> <origin of a stranger> <package of OpenTelemetry's SDK>
 */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import { createKestAgent, patchHttp } from '@kest/http'
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'

const require = createRequire(import.meta.url)
const [order, hop2, stranger, sdk] = process.argv.slice(2)
// Line 3 has it under another name.
const { BasicTracerProvider, TracerProvider = BasicTracerProvider } = await import(sdk)
const kest = createKest({ identity: new MockIdentityProvider('hop1'), engine: new MockPolicyEngine() })
const rule = { kest, propagateTo: [hop2] }

if (order === 'before') patchHttp(rule)
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const propagators = [new W3CTraceContextPropagator(), new W3CBaggagePropagator()]
propagation.setGlobalPropagator(new CompositePropagator({ propagators }))
trace.setGlobalTracerProvider(new TracerProvider())
registerInstrumentations({ instrumentations: [new HttpInstrumentation()] })
// Instrumentation wraps what is required from here on.
const http = require('node:http')
if (order === 'after') patchHttp(rule)
const agent = order === 'agent' ? createKestAgent(new http.Agent(), rule) : undefined

const call = (url, options, made) =>
  new Promise((resolve, reject) => {
    const request = http.request(url, { agent, ...options }, (response) =>
      response.resume().on('end', resolve),
    )
    request.on('error', reject)
    made?.(request)
    request.end()
  })

const server = http.createServer(async (_, response) => {
  response.setHeader('content-length', 3)
  // Without it this test shows nothing.
  const inherited = propagation.getBaggage(context.active())?.getEntry('kest.user')?.value
  const begun = await kest.begin({ operation: 'orders.list', policy: 'test', origin: 'system' })
  await begun.run(async () => {
    for (const origin of [hop2, stranger]) {
      await call(`${origin}/request`)
      await call(`${origin}/headers`, { headers: { 'x-one': '1' } })
      await call(`${origin}/late`, {}, (request) => request.setHeader('x-two', '2'))
    }
  })
  response.end(String(inherited))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

// By hand: what Kest has patched would send nobody's members.
const socket = connect(server.address().port, '127.0.0.1')
const baggage = 'kest.passport=%5B%22stale%22%5D,kest.user=eve,tenant=a'
socket.write(`GET / HTTP/1.1\r\nHost: hop1\r\nBaggage: ${baggage}\r\nConnection: close\r\n\r\n`)
process.stdout.write((await text(socket)).split('\r\n\r\n')[1])
process.exit(0)
