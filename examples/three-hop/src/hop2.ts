// The second hop, internal: a request without lineage is refused. Express, and a dispatcher of undici's.
import { once } from 'node:events'
import { configure, createKeySource } from '@kest/core'
import { kestExpress, protect } from '@kest/express'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { withKest } from '@kest/undici'
import express from 'express'
import { Agent, request } from 'undici'
import { createAuditTrail } from './hop/audit-trail.js'
import { enlist, localKey, serve } from './hop/deployment.js'
import { createEngine, policyTimeoutMs } from './hop/engine.js'
import { NextHop } from './hop/next-hop.js'

const identity = localKey('spiffe://example.org/hop2') ?? (await SPIREProvider.connect())
const { keys, next, spans } = await enlist(identity)
const auditTrail = createAuditTrail('hop2', spans)

configure({
  identity,
  engine: await createEngine(),
  trust: identity instanceof SPIREProvider ? createX509KeySource(identity.source) : createKeySource(keys),
  telemetry: auditTrail,
  policyTimeoutMs,
})
const dispatcher = withKest(new Agent(), { propagateTo: [next] })

const nextHop = new NextHop({
  service: 'hop2',
  timeoutMs: 10_000,
  async send(path, signal) {
    const { statusCode, body } = await request(next + path, { dispatcher, signal })
    return { status: statusCode, text: () => body.text() }
  },
})

const app = express()
app.use(kestExpress())
for (const path of ['/', '/confidential']) {
  app.get(path, protect({ policy: 'hop2/from_hop1' }), async (_request, response) => {
    const { status, body } = await nextHop.ask(path)
    response.status(status).json(body)
  })
}

const server = app.listen(0, '127.0.0.1')
// As Fastify has it: longer than callers keep a connection, which may send on it when it is being closed here.
server.keepAliveTimeout = 72_000
await once(server, 'listening')
serve(server, auditTrail)
