// One hop of a chain that asks for receipts, in a process of its own: an identity out of a Workload API, an audit trail to the Collector, a server.
// Argument: { hop, id, address, uid, endpoint, callee } of JSON. The first message is the origin of what it calls, or null; the answer is its own.
import { createRequire } from 'node:module'
import { createKest } from '../../packages/core/dist/index.js'
import { MockPolicyEngine, RecordingLogger } from '../../packages/core/dist/testing/index.js'
import { kestFastify } from '../../packages/fastify/dist/index.js'
import { createX509KeySource, SPIREProvider } from '../../packages/spiffe/dist/index.js'
import { setupTelemetry } from '../../packages/telemetry/dist/index.js'
import { createKestFetch } from '../../packages/undici/dist/index.js'

const { fastify } = createRequire(new URL('../../packages/fastify/package.json', import.meta.url))('fastify')
const { hop, id, address, uid, endpoint, callee } = JSON.parse(process.argv[2])
if (uid !== null) {
  // Only now, when all code is loaded: it may lie where this user cannot read.
  process.setgroups([])
  process.setgid(uid)
  process.setuid(uid)
}
const logger = new RecordingLogger()
const identity = await SPIREProvider.connect({ address, connectTimeoutMs: 60_000, logger })
if (identity.getWorkloadId() !== id) throw new Error(`expected ${id}, got ${identity.getWorkloadId()}`)
const telemetry = setupTelemetry({ serviceName: hop, exporter: 'otlp', endpoint, logger })

process.once('message', async ({ next }) => {
  const kest = createKest({
    identity,
    engine: new MockPolicyEngine(),
    trust: createX509KeySource(identity.source),
    logger,
    telemetry,
    policyTimeoutMs: 60_000,
    ...(next === null ? { outcomes: true } : { receipts: { mode: 'require', from: { [next]: callee } } }),
  })
  const app = fastify()
  await app.register(kestFastify, { kest, policy: 'all', ...(hop === 'hop1' && { origin: 'internet' }) })
  const call = next === null ? null : createKestFetch({ kest, propagateTo: [next] })
  app.get('/work', async (request) => {
    if (call === null || request.query.alone !== undefined) return { by: hop }
    const response = await call(`${next}/work`)
    return { by: hop, next: await response.json() }
  })
  process.once('message', async () => {
    await app.close()
    await kest.close()
    await telemetry.shutdown()
    process.disconnect()
  })
  process.send({ origin: await app.listen({ host: '127.0.0.1', port: 0 }) })
})
process.once('disconnect', () => process.exit())
process.send({ ready: true })
