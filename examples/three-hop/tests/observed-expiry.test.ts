import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { kestFastify } from '@kest/fastify'
import fastify from 'fastify'
import { expect, it, onTestFinished, vi } from 'vitest'

const AT_ONCE = 4
/** Refusals in a row after which it is enforced for good. */
const ENOUGH = 50
const EXPIRED = 'an observation has expired: what it names is enforced (K-OBSERVE)'

it('K-OBSERVE is enforced from its end on, by a real clock and under load, once and for good, and the log says why', {
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kest-expiry-'))
  const end = Date.now() + 3_000
  const observation = { what: 'policy', scope: { all: true }, reason: 'r', approver: 'security@kest.test' }
  const expires = new Date(end).toISOString()
  writeFileSync(
    join(folder, 'kest.json'),
    JSON.stringify({ policies: {}, observe: [{ ...observation, expires }] }),
  )
  vi.stubEnv('KEST_CONFIG', join(folder, 'kest.json'))
  const logger = new RecordingLogger()
  const kest = createKest({
    identity: new MockIdentityProvider('edge'),
    engine: new MockPolicyEngine(false),
    trust: [],
    logger,
  })
  vi.unstubAllEnvs()
  const app = fastify()
  onTestFinished(async () => {
    await app.close()
    await kest.close()
    rmSync(folder, { recursive: true })
  })
  await app.register(kestFastify, { kest, origin: 'user_input' })
  app.get('/', { config: { kest: { policy: 'p' } } }, async () => 'ok')
  const url = await app.listen({ host: '127.0.0.1', port: 0 })

  let refused = 0
  let firstRefusal: number | undefined
  const wrong: string[] = []
  const worker = async (): Promise<void> => {
    while (refused < ENOUGH) {
      const enforced = firstRefusal !== undefined
      const begun = Date.now()
      const { status } = await fetch(url)
      if (status === 403) {
        refused++
        firstRefusal ??= Date.now()
        if (Date.now() < end) wrong.push('refused before the end')
      } else if (status !== 200) wrong.push(`answered ${status}`)
      else if (enforced || begun >= end) wrong.push('let through after the end')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  expect(wrong).toEqual([])
  const said = () => logger.records.filter(({ message }) => message === EXPIRED)
  await expect.poll(() => said().length, { timeout: 60_000 }).toBe(1)
  expect(said()[0]?.details).toMatchObject({ what: 'policy', approver: 'security@kest.test', expires })
  console.log(`enforced ${(firstRefusal as number) - end} ms after the end of the observation`)
})
