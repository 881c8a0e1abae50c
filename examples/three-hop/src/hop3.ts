// The last hop, internal: a request without lineage is refused. Fastify.
import { configure, createFunctionEngine, createKeySource } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { fastify } from 'fastify'
import { createAuditTrail } from './hop/audit-trail.js'
import { enlist, localKey, serve } from './hop/deployment.js'

const identity = localKey('spiffe://example.org/hop3') ?? (await SPIREProvider.connect())
const { keys, spansFile } = await enlist(identity)
const auditTrail = createAuditTrail('hop3', spansFile)

configure({
  identity,
  engine: createFunctionEngine({
    'hop3/two-hops-away': ({ lineage, trust_score }) => lineage.depth === 2 && trust_score >= 40,
  }),
  trust: identity instanceof SPIREProvider ? createX509KeySource(identity.source) : createKeySource(keys),
  telemetry: { tracerProvider: auditTrail },
})

const app = fastify()
await app.register(kestFastify)
app.get('/', { config: { kest: { policy: 'hop3/two-hops-away' } } }, async () => {
  return { service: 'hop3', status: 'end_of_chain' }
})

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server, auditTrail)
