// The second hop, internal: a request without lineage is refused. Express, and a dispatcher of undici's.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { configure } from '@kest/core'
import { kestExpress, protect } from '@kest/express'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { withKest } from '@kest/undici'
import express, { type Request } from 'express'
import { request } from 'undici'
import { createEngine } from './engine.js'
import { tellExecuted } from './executed.js'
import { itemOf } from './item.js'
import { connectionsTo, mtlsServerOf } from './mtls.js'
import { NextHop } from './next.js'
import { endInGoodOrder } from './serve.js'
import { readSettings, required } from './settings.js'
import { createTelemetry } from './telemetry.js'

const settings = readSettings(process.env)
const { mtls } = settings
const next = required(settings.next, 'NEXT_URL')
const identity = await SPIREProvider.connect()
const engine = await createEngine(settings)
const telemetry = createTelemetry('hop2', settings)

configure({
  identity,
  engine,
  trust: createX509KeySource(identity.source),
  telemetry,
  policyTimeoutMs: 1_000 * settings.patience,
})
const dispatcher = withKest(connectionsTo('hop3', next, identity.source), { propagateTo: [next.origin] })

const nextHop = new NextHop({
  service: 'hop2',
  url: next,
  timeoutMs: 3_000 * settings.patience,
  async send(url, signal) {
    const { statusCode, body } = await request(url, { dispatcher, signal })
    return { status: statusCode, text: () => body.text() }
  },
})

const app = express()
app.disable('x-powered-by')
app.get('/health', (_request, response) => {
  response.json({ status: 'ok' })
})
app.use(kestExpress({ binding: mtls ? 'mtls' : 'none' }))
app.get(
  '/',
  protect({
    policy: 'hop2/from_hop1',
    resource: ({ url }: Request) => ({ id: itemOf(url) }),
    labels: ({ url }: Request) => ({ item: itemOf(url) }),
  }),
  async ({ url }, response) => {
    tellExecuted(itemOf(url))
    const { status, body } = await nextHop.ask(url)
    response.status(status).json(body)
  },
)

const server = mtls ? mtlsServerOf('hop2', identity.source)(app, {}) : createServer(app)
// As Fastify has it: longer than callers keep a connection, which may send on it when it is being closed here.
server.keepAliveTimeout = 72_000
server.listen(settings.port, settings.host)
await once(server, 'listening')
endInGoodOrder(server, async () => {
  await telemetry.shutdown()
  await dispatcher.close()
  identity.close()
})
