import { fileURLToPath } from 'node:url'
import { createKest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CedarPolicyEngine } from '../src/index.js'
import { inProcess, outcomeOf } from '../tests/support/outcome.js'
import { type Exchange, formatRecording, RECORDING_FILE, type Recording } from '../tests/support/recording.js'
import { requestOf } from '../tests/support/requests.js'
import { CASES } from '../tests/support/table.js'
import { hasCedarAgent, startCedarAgent } from './support/cedar-agent.js'
import { recordBefore } from './support/recorder.js'

const KEY = 'agent-key'

const missing = !hasCedarAgent()
const why = missing ? ' (DID NOT RUN: cedar-agent not on PATH)' : ''
if (missing) console.warn(`The tests with a Cedar Agent${why}`)

function engineAt(url: string, authorization = KEY): CedarPolicyEngine {
  const engine = new CedarPolicyEngine({ url, authorization, timeoutMs: 60_000 })
  onTestFinished(() => engine.close())
  return engine
}

describe.skipIf(missing)(`a Cedar Agent${why}`, () => {
  it('decides as Cedar in process does, and as it is recorded', async () => {
    const agent = await startCedarAgent(KEY)
    const recorder = await recordBefore(agent.url)
    const [asked, within] = [engineAt(recorder.url), await inProcess()]
    const cases: Record<string, readonly Exchange[]> = {}
    for (const [name, one] of Object.entries(CASES)) {
      expect.soft(await outcomeOf(asked, one), name).toEqual(one.outcome)
      expect.soft(await outcomeOf(within, one), `${name}, in process`).toEqual(one.outcome)
      cases[name] = recorder.taken()
    }

    const malformed = { method: 'POST', headers: { authorization: KEY, 'content-type': 'application/json' } }
    await fetch(recorder.url, { ...malformed, body: JSON.stringify({ principal: 'nobody' }) })
    const [bad] = recorder.taken()
    await expect(
      engineAt(recorder.url, 'another').evaluate(requestOf('orders/read'), new AbortController()),
    ).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE', reason: expect.stringContaining('401') })
    const [unauthorized] = recorder.taken()

    const recording: Recording = {
      of: agent.version,
      cases,
      malformed: bad as Exchange,
      unauthorized: unauthorized as Exchange,
    }
    await expect(formatRecording(recording)).toMatchFileSnapshot(fileURLToPath(RECORDING_FILE))
  })

  it('TC-07 TC-08 TC-09 keeps operations from running, also when it is gone', async () => {
    const agent = await startCedarAgent(KEY)
    const kest = createKest({
      identity: new MockIdentityProvider('spiffe://kest.test/orders'),
      engine: engineAt(agent.url),
      policyTimeoutMs: 60_000,
      logger: new RecordingLogger(),
    })
    const run = vi.fn()
    const protect = (policy: string | readonly [string, ...string[]]) =>
      kest.verified({ operation: 'read', policy, origin: 'system' }, run)
    await protect(['orders/read', 'orders/list'])()
    expect(run).toHaveBeenCalledOnce()
    await expect(protect(['orders/list', 'orders/write'])()).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
    })
    await agent.kill()
    await expect(protect('orders/list')()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE', statusCode: 503 })
    expect(run).toHaveBeenCalledOnce()
  })
})
