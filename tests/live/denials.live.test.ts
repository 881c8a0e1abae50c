import { createRequire } from 'node:module'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { Audit, readFiles } from '../../packages/audit/dist/index.js'
import { createKest, createKeySource } from '../../packages/core/dist/index.js'
import {
  MockIdentityProvider,
  MockPolicyEngine,
  RecordingLogger,
} from '../../packages/core/dist/testing/index.js'
import { kestFastify } from '../../packages/fastify/dist/index.js'
import { setupTelemetry } from '../../packages/telemetry/dist/index.js'
import { temporary } from '../support/begun-service.js'

const { fastify } = createRequire(new URL('../../packages/fastify/package.json', import.meta.url))('fastify')

const REQUESTS = 10_000
const AT_ONCE = 100
const PER_SECOND = 200

it(`K-DENIAL ${REQUESTS} requests that a service refuses have no more signatures than its bound, and every one is counted`, async () => {
  const folder = await temporary()
  const identity = new MockIdentityProvider('spiffe://example.org/shop')
  const telemetry = setupTelemetry({
    serviceName: 'shop',
    exporter: 'file',
    endpoint: folder,
    queueSize: 100_000,
    logger: new RecordingLogger(),
  })
  const kest = createKest({
    identity,
    engine: new MockPolicyEngine(false),
    logger: new RecordingLogger(),
    telemetry,
    policyTimeoutMs: 60_000,
  })
  const app = fastify()
  await app.register(kestFastify, { kest, origin: 'internet' })
  app.get('/', { config: { kest: { policy: 'never' } } }, async () => 'reached')
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  const ask = async (): Promise<number> => {
    const response = await fetch(url)
    await response.arrayBuffer()
    return response.status
  }

  const begun = performance.now()
  const refused = async (): Promise<void> => {
    for (let n = 0; n < REQUESTS / AT_ONCE; n++) expect(await ask()).toBe(403)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, refused))
  const seconds = Math.floor((performance.now() - begun) / 1_000) + 1
  // Whatever was signed last is more than a second ago, so that the next is, and counts what was not.
  await wait(2_000)
  expect(await ask()).toBe(403)
  await telemetry.shutdown()

  await using audit = new Audit({
    trust: createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] }),
  })
  await audit.read(readFiles([folder]))
  let signed = 0
  let unsigned = 0
  for await (const { denials } of audit.traces())
    for (const one of denials) {
      if (one.signed === null) continue
      signed++
      unsigned += one.signed.unsigned
    }
  expect(signed).toBeGreaterThanOrEqual(PER_SECOND)
  expect(signed).toBeLessThanOrEqual(PER_SECOND * seconds + 1)
  expect(signed + unsigned).toBe(REQUESTS + 1)
  expect(audit.summary()).toMatchObject({ denials: REQUESTS + 1, entries: 0 })
})
