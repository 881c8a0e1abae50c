import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { OPAPolicyEngine } from '../src/index.js'
import { requestOf } from './support/context.js'
import { result, scriptedOpa } from './support/scripted-opa.js'

const decide = (engine: OPAPolicyEngine, policy: string) =>
  engine.evaluate(requestOf(policy), { signal: new AbortController().signal })

/** An OPA that never answers for the policy `slow`, and an engine with two connections to it. */
async function hangingOpa() {
  const hanging: ServerResponse[] = []
  const opa = await scriptedOpa((response, asked) => {
    if (asked.path.endsWith('/slow')) hanging.push(response)
    else result(true)(response)
  })
  const engine = new OPAPolicyEngine({ url: opa.url, timeoutMs: 60_000, connections: 2 })
  onTestFinished(() => engine.close())
  return { hanging, engine }
}

it('K-OBSERVE a policy that hangs aside takes no connection from what is enforced, and ends with the engine', async () => {
  const { hanging, engine } = await hangingOpa()
  const observed = Array.from({ length: 10 }, () => decide(engine.aside, 'slow'))
  const settled = Promise.allSettled(observed)
  await expect.poll(() => hanging.length).toBe(2)
  for (let count = 0; count < 5; count++) expect(await decide(engine, 'orders/read')).toBe(true)
  expect(hanging).toHaveLength(2)
  await engine.close()
  expect((await settled).map(({ status }) => status)).toEqual(observed.map(() => 'rejected'))
})

it('K-OBSERVE an operation whose policies are enforced is decided while others wait for one that is observed, and hangs', async () => {
  const { hanging, engine } = await hangingOpa()
  const folder = mkdtempSync(join(tmpdir(), 'kest-observed-'))
  const expires = new Date(Date.now() + 86_400_000).toISOString()
  const common = { scope: { all: true }, reason: 'r', approver: 'a', expires }
  const deployment = { policies: {}, observe: [{ what: 'policy', policies: ['slow'], ...common }] }
  writeFileSync(join(folder, 'kest.json'), JSON.stringify(deployment))
  vi.stubEnv('KEST_CONFIG', join(folder, 'kest.json'))
  const kest = createKest({
    identity: new MockIdentityProvider('a'),
    engine,
    trust: [],
    logger: new RecordingLogger(),
    policyTimeoutMs: 60_000,
  })
  vi.unstubAllEnvs()
  onTestFinished(async () => {
    await kest.close()
    rmSync(folder, { recursive: true })
  })
  const begin = (policy: readonly [string, ...string[]]) =>
    kest.begin({ operation: 'op', policy, origin: 'internal' }, { state: null })
  const observing = Promise.allSettled(Array.from({ length: 50 }, () => begin(['orders/read', 'slow'])))
  await expect.poll(() => hanging.length).toBe(2)
  for (let count = 0; count < 5; count++)
    expect((await begin(['orders/read'])).entry.entry.policy_context.deviations).toEqual([])
  await engine.close()
  expect((await observing).map(({ status }) => status)).not.toContain('rejected')
})
