import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { KestError } from '../errors.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { IdentityProvider } from '../identity/provider.js'
import { MemoryCache } from '../propagation/memory-cache.js'
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

  it('has a line, and the refusal its code, where the engine throws what cannot be read', async () => {
    setUp({
      engine: {
        evaluate: () => Promise.reject(Object.assign(new Error('down'), { message: Symbol('down') })),
      },
    })
    await expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(texts()).toEqual(['error: the policy engine fails: what needs it is refused'])
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

  it('has no outage of a cache that is not there, which any stranger could ask for', async () => {
    setUp()
    const baggage = `kest.claim_check=${crypto.randomUUID()},kest.chain_tip=${'a'.repeat(64)}`
    await expect(kest.extract({ baggage })).rejects.toMatchObject({ code: 'ERR_KEST_CACHE' })
    expect(lines().at(-1)).toMatchObject({
      level: 'warn',
      message: 'inbound request refused',
      details: { code: 'ERR_KEST_CACHE', err: 'baggage: a claim check came, and no cache is configured' },
    })
    expect(texts().filter((text) => text.startsWith('error'))).toEqual([])
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

describe('the log says that something works again when it was asked and answered, and not before:', () => {
  const audiences = ['http://hop2']

  async function carried(options: KestOptions = {}): Promise<Record<string, string>> {
    const sender = createKest({
      identity,
      engine: new MockPolicyEngine(),
      logger: new RecordingLogger(),
      ...options,
    })
    const begun = await sender.begin(root)
    return begun.run(() => sender.inject<Record<string, string>>({}, 'http://hop2', { hop: true }))
  }

  const recoveries = (): string[] =>
    lines().flatMap(({ level, message }) => (level === 'info' ? [message] : []))

  it('the cache, when a claim check was found in it', async () => {
    const memory = new MemoryCache()
    let down = true
    const cache = {
      setIfAbsent: memory.setIfAbsent.bind(memory),
      get: (key: string) => (down ? Promise.reject(new Error('the cache is gone')) : memory.get(key)),
    }
    setUp({ cache })
    const claimed = await carried({ cache, propagation: { maxMemberLength: 500 } })
    const inline = await carried()
    await expect(kest.extract(claimed)).rejects.toMatchObject({ code: 'ERR_KEST_CACHE' })
    vi.advanceTimersByTime(10_000)
    await kest.extract(inline)
    await kest.extract({}, { lineage: 'optional' })
    expect(recoveries()).toEqual([])
    down = false
    await kest.extract(claimed)
    expect(recoveries()).toEqual(['the cache works again'])
  })

  it('the store of hop tokens, when it has answered', async () => {
    let down = true
    const replayStore = {
      setIfAbsent: () => (down ? Promise.reject(new Error('the store is gone')) : Promise.resolve(true)),
    }
    setUp()
    const bound = { binding: 'hop', audiences, replayStore } as const
    await expect(kest.extract(await carried(), bound)).rejects.toMatchObject({ code: 'ERR_KEST_CACHE' })
    vi.advanceTimersByTime(10_000)
    await kest.extract(await carried())
    expect(recoveries()).toEqual([])
    down = false
    await kest.extract(await carried(), bound)
    expect(recoveries()).toEqual(['the cache works again'])
  })

  it('keys, when lineage was verified: also at an edge that takes it from a partner, and not for none', async () => {
    let down = true
    const find = (query: Parameters<typeof trust.find>[0]) => {
      if (down) throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', 'the keys are gone')
      return trust.find(query)
    }
    setUp({ trust: { kind: 'keys', name: 'flaky', generation: 1, find } })
    const partner = { origin: 'internet', acceptLineage: true, binding: 'hop', audiences } as const
    const refused = { code: 'ERR_KEST_KEYS_UNAVAILABLE' }
    await expect(kest.extract(await carried(), partner)).rejects.toMatchObject(refused)
    vi.advanceTimersByTime(10_000)
    await kest.extract({}, { lineage: 'optional' })
    await kest.extract({}, partner)
    expect(recoveries()).toEqual([])
    down = false
    await kest.extract(await carried(), partner)
    expect(recoveries()).toEqual(['what gives keys and trust bundles works again'])
  })

  it('the engine that was asked, which is named, and no other', async () => {
    let down = true
    const central = {
      address: 'http://central:8181',
      evaluate: () => (down ? Promise.reject(new Error('gone')) : true),
    }
    setUp({ engine: central })
    const own = { address: 'http://own:8181', evaluate: () => true }
    await begin()
    expect(lines()[0]?.details).toMatchObject({ asked: 'http://central:8181' })
    vi.advanceTimersByTime(10_000)
    await kest.begin({ ...root, engine: own })
    expect(recoveries()).toEqual([])
    down = false
    await begin()
    expect(recoveries()).toEqual(['the policy engine works again'])
  })

  it('the identity that signs, and not another', async () => {
    let down = true
    const gone: IdentityProvider = {
      getWorkloadId: () => identity.getWorkloadId(),
      current: () => (down ? Promise.reject(new Error('the agent is gone')) : identity.current()),
    }
    setUp({ identity: gone })
    await begin()
    vi.advanceTimersByTime(10_000)
    await kest.begin({ ...root, operation: 'by another', identity })
    expect(recoveries()).toEqual([])
    down = false
    await begin()
    expect(recoveries()).toEqual(['the identity works again'])
  })

  it('an engine of the tiers above, where the operation has its own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kest-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    vi.stubEnv('KEST_CONFIG', join(folder, 'deployment.yaml'))
    onTestFinished(() => void vi.unstubAllEnvs())
    writeFileSync(join(folder, 'deployment.yaml'), 'policies: { enterprise: [ent] }\n')
    setUp({ engine: { address: 'http://central:8181', evaluate: () => Promise.reject(new Error('gone')) } })
    const own = { address: 'http://own:8181', evaluate: () => true }
    await expect(kest.begin({ ...root, engine: own })).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
    const failing = lines().find(({ level }) => level === 'error')
    expect(failing?.details).toMatchObject({ asked: 'http://central:8181', policies: ['ent'] })
  })
})
