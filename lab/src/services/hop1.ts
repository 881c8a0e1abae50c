// The first hop, an edge: users' requests begin here. Fastify, and the global fetch.
import { configure } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { SPIREProvider } from '@kest/spiffe'
import { patchGlobalFetch } from '@kest/undici'
import { fastify } from 'fastify'
import { createEngine } from './engine.js'
import { tellExecuted } from './executed.js'
import { ITEM_QUERY, itemOf } from './item.js'
import { connectionsTo } from './mtls.js'
import { NextHop } from './next.js'
import { endInGoodOrder } from './serve.js'
import { readSettings, required } from './settings.js'
import { createTelemetry } from './telemetry.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const identity = await SPIREProvider.connect()
const engine = await createEngine(settings)
const telemetry = createTelemetry('hop1', settings)

configure({ identity, engine, telemetry, policyTimeoutMs: 1_000 * settings.patience })
patchGlobalFetch({ propagateTo: [next.origin] })

// The types of Node's fetch do not know a dispatcher of another version of undici.
const overTls: object =
  next.protocol === 'https:' ? { dispatcher: connectionsTo('hop2', next, identity.source) } : {}

const nextHop = new NextHop({
  service: 'hop1',
  url: next,
  timeoutMs: 6_000 * settings.patience,
  async send(url, signal) {
    const response = await fetch(url, { signal, ...overTls })
    return { status: response.status, text: () => response.text() }
  },
})

const app = fastify()
await app.register(kestFastify, { origin: 'user_input', exclude: ['/health'] })
app.get('/health', () => ({ status: 'ok' }))
app.get('/', {
  schema: { querystring: ITEM_QUERY },
  config: {
    kest: {
      policy: 'hop1/users_may_start',
      resource: ({ url }) => ({ id: itemOf(url) }),
      labels: ({ url }) => ({ item: itemOf(url) }),
    },
  },
  async handler({ url }, reply) {
    tellExecuted(itemOf(url))
    const { status, body } = await nextHop.ask(url)
    reply.code(status)
    return body
  },
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {
  await telemetry.shutdown()
  identity.close()
})
