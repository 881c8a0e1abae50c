// The last hop, internal: a request without lineage is refused. Fastify.
import { configure } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { fastify } from 'fastify'
import { createEngine } from './engine.js'
import { tellExecuted } from './executed.js'
import { itemOf } from './item.js'
import { mtlsServerOf } from './mtls.js'
import { endInGoodOrder } from './serve.js'
import { readSettings } from './settings.js'
import { createTelemetry } from './telemetry.js'

const settings = readSettings(process.env)
const identity = await SPIREProvider.connect()
const engine = await createEngine(settings)
const telemetry = createTelemetry('hop3', settings)

configure({
  identity,
  engine,
  trust: createX509KeySource(identity.source),
  telemetry,
  policyTimeoutMs: 1_000 * settings.patience,
})

const { mtls } = settings
const app = fastify(mtls ? { serverFactory: mtlsServerOf('hop3', identity.source) } : {})
await app.register(kestFastify, { exclude: ['/health'], binding: mtls ? 'mtls' : 'none' })
app.get('/health', () => ({ status: 'ok' }))
app.get('/', {
  config: {
    kest: {
      policy: ['hop3/two_hops_away', 'hop3/not_sealed'],
      resource: ({ url }) => ({ id: itemOf(url) }),
      labels: ({ url }) => ({ item: itemOf(url) }),
    },
  },
  handler({ url }) {
    tellExecuted(itemOf(url))
    return { service: 'hop3', status: 'end_of_chain' }
  },
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {
  await telemetry.shutdown()
  identity.close()
})
