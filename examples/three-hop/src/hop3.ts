// The last hop, internal: a request without lineage is refused. Fastify.
import { configure, createKeySource } from '@kest/core'
import { kestFastify } from '@kest/fastify'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { fastify } from 'fastify'
import { createAuditTrail } from './hop/audit-trail.js'
import { enlist, localKey, serve } from './hop/deployment.js'
import { createEngine, policyTimeoutMs } from './hop/engine.js'

const identity = localKey('spiffe://example.org/hop3') ?? (await SPIREProvider.connect())
const { keys, spans } = await enlist(identity)
const auditTrail = createAuditTrail('hop3', spans)

configure({
  identity,
  engine: await createEngine(),
  trust: identity instanceof SPIREProvider ? createX509KeySource(identity.source) : createKeySource(keys),
  telemetry: auditTrail,
  policyTimeoutMs,
})

const app = fastify()
await app.register(kestFastify)
app.get('/', { config: { kest: { policy: 'hop3/from_hop1_by_hop2' } } }, async () => {
  return { service: 'hop3', status: 'end_of_chain' }
})
app.get(
  '/confidential',
  { config: { kest: { policy: ['hop3/from_hop1_by_hop2', 'hop3/confidential'] } } },
  async () => {
    return { service: 'hop3', status: 'what nobody has enough trust for' }
  },
)

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server, auditTrail)
