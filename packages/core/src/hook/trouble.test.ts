import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { KestError } from '../errors.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { IdentityProvider } from '../identity/provider.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { type LogRecord, RecordingLogger } from '../testing/recording-logger.js'

const identity = new MockIdentityProvider('spiffe://trouble.test/service')
const trust = createKeySource({ 'spiffe://trouble.test/service': [identity.getPublicJwk()] })
const root = { operation: 'GET /orders/:id', policy: 'orders/read', origin: 'system' } as const
let logger: RecordingLogger
let kest: Kest

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  logger = new RecordingLogger()
})

afterEach(async () => {
  await kest.close()
  vi.useRealTimers()
})

function setUp(options: KestOptions = {}): void {
  kest = createKest({ identity, engine: new MockPolicyEngine(), trust, logger, ...options })
}

async function begin(times = 1): Promise<void> {
  for (let i = 0; i < times; i++) await kest.begin(root).catch(() => undefined)
}

const lines = (): LogRecord[] => logger.records.filter(({ level }) => level !== 'debug')
const texts = (): string[] => lines().map(({ level, message }) => `${level}: ${message}`)

describe('the log of an outage', () => {
  it('NF-OBS-01 has one error and a count for an engine that is down, and its recovery', async () => {
    let down = true
    const evaluate = () => (down ? Promise.reject(new Error('connect ECONNREFUSED 127.0.0.1:8181')) : true)
    setUp({ engine: { address: 'http://127.0.0.1:8181', evaluate } })
    await begin(100)
    expect(lines()).toEqual([
      {
        level: 'error',
        message: 'the policy engine fails: what needs it is refused',
        details: {
          code: 'ERR_KEST_ENGINE',
          asked: 'http://127.0.0.1:8181',
          operation: 'GET /orders/:id',
          entry_id: expect.any(String),
          workload_id: 'spiffe://trouble.test/service',
          policies: ['orders/read'],
          err: 'the policy engine failed; cause: Error: connect ECONNREFUSED 127.0.0.1:8181',
          remedy: expect.any(String),
        },
      },
    ])
    vi.advanceTimersByTime(10_000)
    expect(lines()[1]).toMatchObject({ level: 'error', details: { count: 99 } })
    down = false
    await begin()
    expect(texts().at(-1)).toBe('info: the policy engine works again')
  })

  it('NF-OBS-01 has one error for an identity that is down, whatever operation needs it', async () => {
    const gone: IdentityProvider = {
      getWorkloadId: () => 'spiffe://trouble.test/service',
      current: () => {
        throw new Error('the agent is gone')
      },
    }
    setUp({ identity: gone })
    await begin(50)
    await kest.begin({ ...root, operation: 'GET /other' }).catch(() => undefined)
    expect(texts()).toEqual(['error: the identity fails: what needs it is refused'])
    expect(lines()[0]?.details).toMatchObject({ code: 'ERR_KEST_IDENTITY', asked: 'identity' })
  })

  it('names the address of an engine that does not answer in time', async () => {
    setUp({
      policyTimeoutMs: 50,
      engine: { address: 'http://10.0.0.9:8181', evaluate: () => new Promise<boolean>(() => {}) },
    })
    const refused = expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT' })
    await vi.advanceTimersByTimeAsync(50)
    await refused
    expect(lines()[0]?.details).toMatchObject({
      asked: 'http://10.0.0.9:8181',
      reason: 'no decision from http://10.0.0.9:8181 within 50 ms',
    })
  })

  it('keeps a denial a warning of its own, as far as ten in ten seconds, and counts the others', async () => {
    setUp({ engine: new MockPolicyEngine(false) })
    await begin(500)
    expect(texts()).toEqual(Array(10).fill('warn: operation denied'))
    vi.advanceTimersByTime(10_000)
    expect(lines().slice(10)).toEqual([
      {
        level: 'warn',
        details: { code: 'ERR_KEST_DENIED', operation: 'GET /orders/:id', count: 490 },
        message: 'operation denied: so many more',
      },
    ])
  })

  it('does not warn of callers that left', async () => {
    setUp()
    await expect(kest.begin(root, { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(KestError)
    expect(logger.records).toMatchObject([{ level: 'debug', details: { code: 'ERR_KEST_ABORTED' } }])
  })

  it('says of which request it is, also where a function within it is refused', async () => {
    setUp({ engine: new MockPolicyEngine(false) })
    const about = vi.fn(() => ({ method: 'GET', route: '/orders/:id', peer: '10.0.0.7', request_id: 'r-1' }))
    const state = await kest.listener({ origin: 'internet' }).receive({ headers: {}, about })
    expect(about).not.toHaveBeenCalled()
    const inner = kest.verified({ operation: 'charge', policy: 'charge' }, () => 1)
    await kest.run(state, () => inner().catch(() => undefined))
    const kept = kest.keep(state)
    await kept.run(() => inner().catch(() => undefined))
    const facts = { operation: 'charge', ...about() }
    expect(lines()).toMatchObject([{ details: facts }, { details: facts }])
  })
})
