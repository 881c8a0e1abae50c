// The first hop, an edge: users' requests begin here. Fastify, and the global fetch.
import { configure } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { SPIREProvider } from '@kest/spiffe'
import { patchGlobalFetch } from '@kest/undici'
import { fastify } from 'fastify'
import { createAuditTrail } from './hop/audit-trail.js'
import { enlist, localKey, serve } from './hop/deployment.js'
import { createEngine } from './hop/engine.js'

const identity = localKey('spiffe://example.org/hop1') ?? (await SPIREProvider.connect())
const { next, spans } = await enlist(identity)
const auditTrail = createAuditTrail('hop1', spans)

configure({ identity, engine: await createEngine(), telemetry: auditTrail })
patchGlobalFetch({ propagateTo: [next] })

const app = fastify()
await app.register(kestFastify, { origin: 'user_input' })
for (const path of ['/', '/confidential']) {
  app.get(path, { config: { kest: { policy: 'hop1/users_may_start' } } }, async (_request, reply) => {
    const response = await fetch(next + path, { signal: AbortSignal.timeout(6_000) })
    return reply.code(response.status).send({ service: 'hop1', next: await response.json() })
  })
}

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server, auditTrail)
