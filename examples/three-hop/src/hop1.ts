// The first hop, an edge: users' requests begin here. Fastify, and the global fetch.
import { configure, createFunctionEngine } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { SPIREProvider } from '@kest/spiffe'
import { patchGlobalFetch } from '@kest/undici'
import { fastify } from 'fastify'
import { createAuditTrail } from './hop/audit-trail.js'
import { enlist, localKey, serve } from './hop/deployment.js'

const identity = localKey('spiffe://example.org/hop1') ?? (await SPIREProvider.connect())
const { next, spansFile } = await enlist(identity)
const auditTrail = createAuditTrail('hop1', spansFile)

configure({
  identity,
  engine: createFunctionEngine({
    'hop1/users-may-start': ({ trust_score, subject }) => trust_score >= 40 && subject.taints.length === 0,
  }),
  telemetry: { tracerProvider: auditTrail },
})
patchGlobalFetch({ propagateTo: [next] })

const app = fastify()
await app.register(kestFastify, { origin: 'user_input' })
app.get('/', { config: { kest: { policy: 'hop1/users-may-start' } } }, async () => {
  const response = await fetch(next)
  if (!response.ok) throw new Error(`the next service answered ${response.status}`)
  return { service: 'hop1', next: await response.json() }
})

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server, auditTrail)
