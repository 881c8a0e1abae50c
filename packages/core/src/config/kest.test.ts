import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { MemoryCache } from '../propagation/memory-cache.js'
import { buildPassport } from '../testing/build-passport.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { VERSION } from '../version.js'
import { configure, getActiveCache, getActiveEngine, getActiveIdentity, getActiveKest } from './active.js'
import { createKest } from './kest.js'

const identity = new MockIdentityProvider('spiffe://config.test/service')
const own = createKeySource({ 'spiffe://config.test/service': [identity.getPublicJwk()] })
const root = { operation: 'root', policy: 'app', origin: 'system' } as const

describe('configure', () => {
  beforeEach(() => {
    ;(globalThis as Record<symbol, unknown>)[Symbol.for('kest.active.1')] = undefined
  })

  it('F-GC-04 says clearly that nothing is configured', () => {
    for (const get of [getActiveKest, getActiveEngine, getActiveIdentity, getActiveCache]) {
      expect(get).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    }
  })

  it('F-GC-01 F-GC-02 gives back what was configured', () => {
    const engine = new MockPolicyEngine()
    const cache = new MemoryCache()
    const kest = configure({ identity, engine, cache })
    expect(getActiveKest()).toBe(kest)
    expect(getActiveEngine()).toBe(engine)
    expect(getActiveIdentity()).toBe(identity)
    expect(getActiveCache()).toBe(cache)
  })

  it('says so when it replaces what was configured, with whoever decides', () => {
    const logger = new RecordingLogger()
    configure({ identity, logger })
    expect(logger.records).toEqual([])
    configure({ identity, logger })
    expect(logger.records.map(({ message }) => message)).toEqual([
      expect.stringContaining('CONFIGURED AGAIN'),
    ])
  })

  it('F-GC-04 names the part that is not configured', () => {
    configure({ identity })
    expect(getActiveEngine).toThrow(/no engine is configured/)
    expect(getActiveCache).toThrow(/no cache is configured/)
  })
})

describe('createKest', () => {
  it.each<[string, object, RegExp]>([
    ['an unknown option', { deviations: [] }, /unknown option "deviations"/],
    [
      'a time that overflows a timer',
      { identityTimeoutMs: 2 ** 31 },
      /identityTimeoutMs: expected a positive/,
    ],
    [
      'a key source of no kind',
      { trust: { name: 'a', generation: 0, find: () => [] } },
      /got one of no kind/,
    ],
    ['no options', null as never, /expected an object/],
    [
      'one raiser in place of a list',
      { raisers: 'spiffe://config.test/sanitizer' },
      /raisers: expected a list/,
    ],
    ['telemetry that is a name', { telemetry: 'otlp' }, /telemetry: expected an object/],
    ['telemetry that is a function', { telemetry: () => ({}) }, /telemetry: expected an object/],
    ['telemetry that is on its way', { telemetry: Promise.resolve({}) }, /telemetry: expected an object/],
    [
      'a misspelled part of telemetry',
      { telemetry: { auditrail: {} } },
      /telemetry: unknown option "auditrail"/,
    ],
    ['a provider that is none', { telemetry: { tracerProvider: 5 } }, /telemetry\.tracerProvider/],
    ['a meter that is none', { telemetry: { meterProvider: {} } }, /telemetry\.meterProvider/],
    ['passport that is text', { telemetry: { passport: 'false' } }, /telemetry\.passport/],
    ['an engine that is none', { engine: {} }, /engine: .*evaluate/],
    [
      'an engine that says wrongly how it is asked',
      { engine: { evaluate: () => true, evaluateAll: true } },
      /evaluateAll to be a method/,
    ],
    ['an identity that is none', { identity: 'me' }, /identity: /],
    ['a time-out of nothing', { policyTimeoutMs: 0 }, /policyTimeoutMs/],
    ['an unknown limit', { limits: { entry: 1 } }, /unknown limit "entry"/],
    ['a limit of nothing', { limits: { entries: 0 } }, /limits\.entries/],
    ['a default origin redefined', { origins: { internet: 90 } }, /internet/],
    ['an unknown propagation option', { propagation: { size: 1 } }, /size/],
  ])('refuses %s', (_, options, message) => {
    expect(() => createKest(options as never)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    expect(() => createKest(options as never)).toThrow(message)
  })

  it('NF-SEC-01 F-ID-04 shows no key to whoever inspects it', async () => {
    const kest = createKest({ identity, engine: new MockPolicyEngine(), trust: own })
    const operation = await kest.begin(root)
    const shown = [kest, operation, identity, own].map(
      (part) => inspect(part, { depth: 20, showHidden: true }) + JSON.stringify(part),
    )
    for (const text of shown) expect(text).not.toMatch(/"d":|PRIVATE|seed/)
  })

  it('F-AE-06 the version in entries is the package’s', () => {
    expect(VERSION).toBe(packageJson.version)
  })
})

describe('the deployment’s policies', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kest-config-'))
  const file = join(folder, 'kest.yaml')

  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(file, { force: true })
  })

  function deploy(text: string, clock = new FakeClock()) {
    writeFileSync(file, text)
    vi.stubEnv('KEST_CONFIG', file)
    const engine = new MockPolicyEngine()
    const kest = createKest({
      identity,
      engine,
      clock,
      policyTimeoutMs: 60_000,
      logger: new RecordingLogger(),
    })
    onTestFinished(() => kest.close())
    return { engine, kest }
  }

  const tiers = 'policies: { enterprise: [ent], platform: [plat], application: [appl] }\n'
  const deviation = `deviations:
  - { policy: plat, tier: platform, scope: root, reason: migration, approver: ann, expires: 2030-01-01T00:00:00Z }
`

  it('F-PE-06 F-PE-07 F-PE-08 F-PE-09 F-PE-10 asks every tier, in order', async () => {
    const { engine, kest } = deploy(tiers)
    const operation = await kest.begin(root)
    expect(
      engine.requests.map(({ policies, context }) => [context.environment.policy_tier, ...policies]),
    ).toEqual([
      ['enterprise', 'ent'],
      ['platform', 'plat'],
      ['application', 'appl'],
      ['function', 'app'],
    ])
    expect(operation.entry.entry.policy_context).toMatchObject({
      platform_policies: ['plat'],
      app_policies: ['appl'],
    })
  })

  it('K-ENGINE a call’s own engine does not decide for the tiers above it', async () => {
    const { kest } = deploy(tiers)
    const lenient = new MockPolicyEngine()
    await kest.begin({ ...root, engine: lenient })
    expect(lenient.requests.map(({ policies }) => policies)).toEqual([['app']])
    const strict = deploy(tiers)
    vi.spyOn(strict.engine, 'evaluate').mockReturnValue(false)
    await expect(strict.kest.begin({ ...root, engine: lenient })).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
      policies: ['ent'],
    })
  })

  it('F-PE-11 F-PE-12 F-PE-13 a deviation exempts, is seen by policies, and is signed', async () => {
    const { engine, kest } = deploy(tiers + deviation, new FakeClock(Date.parse('2029-01-01T00:00:00Z')))
    const { entry } = await kest.begin(root)
    expect(engine.requests.flatMap(({ policies }) => policies)).toEqual(['ent', 'appl', 'app'])
    const recorded = { policy: 'plat', tier: 'platform', reason: 'migration', approver: 'ann' }
    expect(entry.entry.policy_context.deviations).toEqual([recorded])
    expect(engine.requests[0]?.context.environment.active_deviations).toEqual([recorded])
  })

  it('F-PE-11 an expired deviation exempts nothing', async () => {
    const { engine, kest } = deploy(tiers + deviation, new FakeClock(Date.parse('2030-01-01T00:00:00Z')))
    const { entry } = await kest.begin(root)
    expect(engine.requests.flatMap(({ policies }) => policies)).toContain('plat')
    expect(entry.entry.policy_context.deviations).toEqual([])
  })

  it('F-PE-07 F-PE-11 operations see a file that was replaced, and what is under way keeps what it began with', async () => {
    const { engine, kest } = deploy(tiers)
    const definition = kest.operation(root)
    const asked = () => engine.requests.splice(0).flatMap(({ policies }) => policies)
    await kest.begin(definition)
    expect(asked()).toEqual(['ent', 'plat', 'appl', 'app'])

    let answer: (allow: boolean) => void = () => {}
    vi.spyOn(engine, 'evaluate').mockImplementationOnce((request) => {
      engine.requests.push(request)
      return new Promise((resolve) => {
        answer = resolve
      })
    })
    const underWay = kest.begin(definition)
    await expect.poll(() => engine.requests).toHaveLength(1)
    engine.requests.length = 0
    writeFileSync(file, 'policies: { enterprise: [stricter] }')
    await vi.waitFor(
      async () => {
        await kest.begin(definition)
        expect(asked()).toEqual(['stricter', 'app'])
      },
      { timeout: 60_000, interval: 50 },
    )
    answer(true)
    expect((await underWay).entry.entry.policy_context).toMatchObject({
      enterprise_policies: ['ent'],
      platform_policies: ['plat'],
    })
    expect(asked()).toEqual(['plat', 'appl', 'app'])
  })

  it.each(['policies', 'deviations', 'tiers', 'enterprise', 'deployment'])(
    'F-PE-11 code has no option "%s", neither for an instance nor for an operation',
    async (option) => {
      const refused = expect.objectContaining({
        code: 'ERR_KEST_CONFIG',
        message: expect.stringContaining(option),
      })
      expect(() => createKest({ identity, [option]: [] } as never)).toThrow(refused)
      const { kest } = deploy(tiers)
      expect(() => kest.operation({ ...root, [option]: [] } as never)).toThrow(refused)
      await expect(kest.begin({ ...root, [option]: [] } as never)).rejects.toEqual(refused)
    },
  )

  it('F-PE-11 the package exports what reads a deployment, and nothing that puts one into force', async () => {
    const core = await import('../index.js')
    const names = Object.keys(core).filter((name) => /deploy|deviation|tier/i.test(name))
    expect(names.sort()).toEqual(['DEPLOYMENT_TIERS', 'deploymentInForce', 'readDeploymentFile'])
    expect(core.DEPLOYMENT_TIERS).toSatisfy(Object.isFrozen)
    expect(() => createKest({ identity, deployment: {} } as never)).toThrow(/deployment/)
  })

  it('refuses to start on a broken file', () => {
    expect(() => deploy('policies: [')).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
  })
})

describe('other clients, consumers and jobs', () => {
  const engine = new MockPolicyEngine()

  it('F-CP-01 F-CP-02 F-CP-03 inject and extract carry a passport from one service to another', async () => {
    const sender = createKest({ identity, engine })
    const receiver = createKest({
      identity: new MockIdentityProvider('spiffe://config.test/next'),
      engine,
      trust: own,
    })
    const operation = await sender.begin({ ...root, user: 'alice' })
    for (const headers of [new Headers({ baggage: 'theirs=1' }), { Baggage: 'theirs=1' }]) {
      const sent = await sender.run(operation.state, () => sender.inject(headers, 'http://127.0.0.1:1/x'))
      const value =
        sent instanceof Headers ? sent.get('baggage') : (sent as Record<string, string>)['baggage']
      expect(value).toContain('theirs=1')
      const state = await receiver.extract({ baggage: value as string })
      expect(state.frame.lineage.tips.map(({ hash }) => hash)).toEqual([operation.entry.hash])
      expect(state.identity?.context.user).toBe('alice')
    }
  })

  it('extract reads names in any case, and of two spellings both', async () => {
    const kest = createKest({ identity, engine, trust: own })
    const operation = await kest.begin(root)
    const { baggage } = await kest.run(operation.state, () =>
      kest.inject<Record<string, string>>({}, 'http://127.0.0.1:1/x'),
    )
    for (const headers of [{ Baggage: baggage }, { baggage: [baggage as string], BAGGAGE: 'a=1' }]) {
      const { frame } = await kest.extract(headers)
      expect(frame.lineage.tips.map(({ hash }) => hash)).toEqual([operation.entry.hash])
    }
  })

  it('inject outside of any operation takes kest members out and adds none', async () => {
    const kest = createKest({ identity, engine })
    const headers = await kest.inject({ baggage: 'kest.user=mallory,theirs=1' }, 'http://127.0.0.1:1')
    expect(headers).toEqual({ baggage: 'theirs=1' })
    expect(await kest.inject({ Baggage: 'kest.user=mallory' }, 'http://127.0.0.1:1')).toEqual({})
  })

  it('K-RESUME verifies a kept passport again, with an age of one’s own', async () => {
    const clock = new FakeClock(Date.now() - 2 * 3_600_000)
    const { passport, trust } = await buildPassport(
      [{ by: 'spiffe://config.test/a' }, { by: 'spiffe://config.test/b' }],
      { clock },
    )
    const kest = createKest({ identity, engine, trust, logger: new RecordingLogger() })
    const kept = { passport: passport.toJSON() }
    await expect(kest.resume(kept, {})).rejects.toMatchObject({ code: 'ERR_KEST_FRESHNESS' })
    const state = await kest.resume(kept, { maxAgeMs: 3 * 3_600_000 })
    const operation = await kest.run(state, () => kest.begin({ operation: 'job', policy: 'app' }))
    expect(operation.passport.length).toBe(3)
    await expect(
      kest.resume({ passport: passport.toJSON().slice(1) }, { maxAgeMs: 3 * 3_600_000 }),
    ).rejects.toMatchObject({
      code: 'ERR_KEST_PARENT_UNKNOWN',
    })
  })

  it.each<[string, () => void | Promise<void>]>([
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
  ])('has closed all that it was given before it says that one %s', async (_, close) => {
    const ended: string[] = []
    const slowly = (name: string) => async () => {
      await new Promise(setImmediate)
      ended.push(name)
    }
    const kest = createKest({
      identity: Object.assign(new MockIdentityProvider('x'), { close }),
      engine: Object.assign(new MockPolicyEngine(), { close: slowly('engine') }),
      cache: Object.assign(new MemoryCache(), { close: slowly('cache') }),
    })
    await expect(kest.close()).rejects.toThrow('down')
    expect(ended).toEqual(['engine', 'cache'])
  })

  it('closes what it was given', async () => {
    const close = vi.fn()
    const kest = createKest({
      identity: { getWorkloadId: () => 'w', current: () => identity.current(), close },
      engine,
    })
    await kest.close()
    expect(close).toHaveBeenCalledOnce()
  })
})
