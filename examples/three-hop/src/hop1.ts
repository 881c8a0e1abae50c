// The first hop, an edge: users' requests begin here. Fastify, and the global fetch.
import { configure } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { SPIREProvider } from '@kest/spiffe'
import { patchGlobalFetch } from '@kest/undici'
import { fastify } from 'fastify'
import { createAuditTrail } from './hop/audit-trail.js'
import { enlist, localKey, serve } from './hop/deployment.js'
import { createEngine, policyTimeoutMs } from './hop/engine.js'
import { NextHop } from './hop/next-hop.js'

const identity = localKey('spiffe://example.org/hop1') ?? (await SPIREProvider.connect())
const { next, spans } = await enlist(identity)
const auditTrail = createAuditTrail('hop1', spans)

configure({ identity, engine: await createEngine(), telemetry: auditTrail, policyTimeoutMs })
patchGlobalFetch({ propagateTo: [next] })

const nextHop = new NextHop({
  service: 'hop1',
  timeoutMs: 20_000,
  async send(path, signal) {
    const response = await fetch(next + path, { signal })
    return { status: response.status, text: () => response.text() }
  },
})

const app = fastify()
await app.register(kestFastify, { origin: 'user_input' })
for (const path of ['/', '/confidential']) {
  app.get(path, { config: { kest: { policy: 'hop1/users_may_start' } } }, async (_request, reply) => {
    const { status, body } = await nextHop.ask(path)
    return reply.code(status).send(body)
  })
}

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server, auditTrail)
