/**
 * A service under auto-instrumentation, in a process of its own, since instrumentation patches what is loaded after
 * it. It receives a request with somebody's `kest.*` members, and calls on: with fetch, with undici, and with a pool
 * of one connection. Prints nothing; whoever is called records.
 *
 * node instrumented-app.mjs <origin in scope> <origin of a stranger>
 */
import { once } from 'node:events'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import { patchGlobalFetch, withKest } from '@kest/undici'
import { context, propagation } from '@opentelemetry/api'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const [hop2, stranger] = process.argv.slice(2)

new NodeTracerProvider().register()
registerInstrumentations({ instrumentations: [new HttpInstrumentation(), new UndiciInstrumentation()] })

// Instrumentation hooks what is loaded from here on.
const { createServer } = await import('node:http')
const { Agent, Pool, request } = await import('undici')

const kest = createKest({ identity: new MockIdentityProvider('hop1'), engine: new MockPolicyEngine() })
patchGlobalFetch({ kest, propagateTo: [hop2] })
const agent = withKest(new Agent(), { kest, propagateTo: [hop2] })
const pools = [hop2, stranger].map((origin) =>
  withKest(new Pool(origin, { connections: 1 }), { kest, propagateTo: [hop2], origin }),
)

const server = createServer(async (_, response) => {
  // What instrumentation has made of the inbound header; without it this test shows nothing.
  const inherited = propagation.getBaggage(context.active())?.getEntry('kest.user')?.value
  const begun = await kest.begin({ operation: 'orders.list', policy: 'test', origin: 'system' })
  await begun.run(async () => {
    for (const origin of [hop2, stranger]) {
      await (await fetch(`${origin}/fetch`)).text()
      await (await request(`${origin}/request`, { dispatcher: agent })).body.dump()
    }
    const queued = pools.flatMap((pool) =>
      Array.from({ length: 5 }, () => pool.request({ path: '/pool', method: 'GET' })),
    )
    await Promise.all(queued.map(async (sent) => (await sent).body.dump()))
  })
  response.end(inherited)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const { default: http } = await import('node:http')
const { port } = server.address()
const headers = { baggage: 'kest.passport=%5B%22stale%22%5D,kest.user=eve,tenant=a' }
const inherited = await new Promise((resolve, reject) => {
  http
    .get({ port, host: '127.0.0.1', headers }, (response) => {
      response.setEncoding('utf8').on('data', resolve)
    })
    .on('error', reject)
})
process.stdout.write(inherited)
process.exit(0)
