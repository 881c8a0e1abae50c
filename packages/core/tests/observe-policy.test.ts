import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LABEL } from '../src/entry/entry.js'
import { KestError } from '../src/errors.js'
import type { Operation } from '../src/hook/operation.js'
import type { Decision, PolicyEngine, PolicyRequest, PolicyTier } from '../src/policy/engine.js'
import { FakeClock } from '../src/testing/fake-clock.js'
import { MockPolicyEngine } from '../src/testing/mock-engine.js'
import { computedAnswer } from './support/computed-answer.js'
import { DAY_MS, id, READER, ROOTS, sends, service } from './support/services.js'

const NOW = Date.now()
const END = NOW + 30 * DAY_MS
const TIERS = `policies:
  enterprise: [ent/a, ent/b]
  platform: [plat/a]
  application: [app/a]
`

interface Item {
  readonly policies?: readonly string[]
  readonly tier?: PolicyTier
  readonly scope?: unknown
  readonly end?: number
}

/** JSON is YAML. */
function observing(...items: readonly Item[]): string {
  const observe = items.map(({ policies, tier, scope = { all: true }, end = END }) => ({
    what: 'policy',
    policies,
    tier,
    scope,
    reason: 'callers without Kest',
    approver: 'security@kest.test',
    expires: new Date(end).toISOString(),
  }))
  return `${TIERS}observe: ${JSON.stringify(observe)}\n`
}

type Answer = boolean | Decision | Error | 'never' | 'nonsense'

/** Answers by policy; what is not named allows. */
function engine(answers: Readonly<Record<string, Answer>>, delayed = false): MockPolicyEngine {
  return new MockPolicyEngine(({ policies }) => {
    const said = policies.map((policy) => answers[policy] ?? true)
    const answer = said.find((one) => one !== true) ?? true
    if (answer === 'never') return new Promise(() => {})
    if (answer === 'nonsense') return 'yes' as never
    if (answer instanceof Error) return delayed ? Promise.reject(answer) : raise(answer)
    return delayed ? Promise.resolve(answer) : answer
  })
}

function raise(error: Error): never {
  throw error
}

const operation = { operation: 'op', policy: ['fn/a', 'fn/b'], origin: 'internal' } as const
const ALL = {
  enterprise_policies: ['ent/a', 'ent/b'],
  platform_policies: ['plat/a'],
  app_policies: ['app/a'],
  function_policies: ['fn/a', 'fn/b'],
  deviations: [],
}
const deviation = (policy: string, tier: string, code = 'ERR_KEST_DENIED') => ({
  policy,
  tier,
  reason: `observed: ${code}`,
  approver: 'security@kest.test',
})
const labelOf = ({ entry }: Operation): unknown => JSON.parse(entry.entry.labels[LABEL.observed] ?? 'null')

/** An operation in a service with these tiers and this engine. */
function setting(
  deployment: string,
  answers: Readonly<Record<string, Answer>> | PolicyEngine,
  clock = new FakeClock(NOW),
  policyTimeoutMs = 60_000,
) {
  const deciding =
    'evaluate' in answers ? (answers as PolicyEngine) : engine(answers as Record<string, Answer>)
  const { kest, logger } = service('edge', deployment, clock, { engine: deciding, policyTimeoutMs })
  const warned = (): readonly unknown[] =>
    logger.records
      .filter(({ message }) => /which is only observed/.test(message))
      .map(({ details }) => details)
  return { kest, logger, warned, begin: () => kest.begin(operation, { state: null }) }
}

describe('an observed policy', () => {
  it.each<[string, Answer, string]>([
    ['denies', false, 'ERR_KEST_DENIED'],
    ['denies with a reason', { allow: false, reason: 'too little trust' }, 'ERR_KEST_DENIED'],
    ['is not decided, as its engine fails', new Error('ECONNREFUSED'), 'ERR_KEST_ENGINE'],
    ['is answered with nonsense', 'nonsense', 'ERR_KEST_ENGINE_ANSWER'],
  ])(
    'K-OBSERVE that %s refuses nothing, and the entry says so and not that it allowed',
    async (_, answer, code) => {
      for (const delayed of [false, true]) {
        const deciding = engine({ 'plat/a': answer }, delayed)
        const { begin, warned } = setting(observing({ tier: 'platform' }), deciding)
        const begun = await begin()
        expect(begun.entry.entry.policy_context).toEqual({
          ...ALL,
          platform_policies: [],
          deviations: [deviation('plat/a', 'platform', code)],
        })
        expect(labelOf(begun)).toEqual([{ code, policy: 'plat/a', tier: 'platform' }])
        expect(begun.entry).toMatchObject({ trustScore: 100, taints: ['kest.observed'] })
        expect(begun.entry.entry).toMatchObject({
          added_taints: ['kest.observed'],
          taints: ['kest.observed'],
        })
        expect(warned()).toMatchObject([{ code, tier: 'platform', policies: ['plat/a'], operation: 'op' }])
      }
    },
  )

  it('K-OBSERVE that is not decided in time refuses nothing, and takes no time of those that are enforced', async () => {
    const { begin } = setting(observing({ tier: 'function' }), { 'fn/a': 'never' }, undefined, 20)
    const begun = await begin()
    expect(labelOf(begun)).toEqual([{ code: 'ERR_KEST_ENGINE_TIMEOUT', policy: 'fn/a', tier: 'function' }])
    expect(begun.entry.entry.policy_context).toMatchObject({ function_policies: ['fn/b'] })
  })

  it('K-OBSERVE that allows is on record as one that is enforced', async () => {
    const { begin, warned } = setting(observing({}), {})
    const begun = await begin()
    expect(begun.entry.entry.policy_context).toEqual(ALL)
    expect(begun.entry.taints).toEqual([])
    expect(begun.entry.entry.labels[LABEL.observed]).toBeUndefined()
    expect(warned()).toEqual([])
  })

  it('K-OBSERVE is asked in a question of its own, which shows neither the taint nor the label of its entry', async () => {
    const deciding = engine({ 'ent/b': false, 'fn/a': false })
    const { begin } = setting(
      observing({ policies: ['ent/b'], tier: 'enterprise' }, { tier: 'function' }),
      deciding,
    )
    const begun = await begin()
    expect(deciding.requests.map(({ policies }) => policies)).toEqual([
      ['ent/a'],
      ['plat/a'],
      ['app/a'],
      ['ent/b'],
      ['fn/a'],
      ['fn/b'],
    ])
    for (const { policies, context } of deciding.requests) {
      expect(context.environment).toMatchObject({ policy_names: policies, active_deviations: [] })
      expect(context.subject.taints).toEqual([])
    }
    expect(labelOf(begun)).toEqual([
      { code: 'ERR_KEST_DENIED', policy: 'ent/b', tier: 'enterprise' },
      { code: 'ERR_KEST_DENIED', policy: 'fn/a', tier: 'function' },
    ])
  })

  it('K-OBSERVE is asked together with the other observed ones, where an engine takes all at once', async () => {
    const batches: (readonly string[])[][] = []
    const remote: PolicyEngine = {
      evaluate: () => expect.fail('asked for one'),
      evaluateAll: (requests) => {
        batches.push(requests.map(({ policies }) => policies))
        return requests.map(async ({ policies }) => !policies.includes('fn/b'))
      },
    }
    const begun = await setting(observing({ tier: 'function' }), remote).begin()
    expect(batches).toEqual([
      [['ent/a', 'ent/b'], ['plat/a'], ['app/a']],
      [['fn/a'], ['fn/b']],
    ])
    expect(labelOf(begun)).toEqual([{ code: 'ERR_KEST_DENIED', policy: 'fn/b', tier: 'function' }])
  })

  it('K-OBSERVE is one of its tier alone, of its scope alone, and of a workload alone', async () => {
    const denying = { 'ent/a': false, 'fn/a': false } as const
    const refused = { code: 'ERR_KEST_DENIED' }
    const only = (item: Item) => setting(observing(item), denying).begin()
    await expect(only({ policies: ['ent/a'] })).rejects.toMatchObject({
      ...refused,
      policies: ['fn/a', 'fn/b'],
    })
    await expect(only({ tier: 'function' })).rejects.toMatchObject({
      ...refused,
      policies: ['ent/a', 'ent/b'],
    })
    await expect(only({ scope: 'other' })).rejects.toMatchObject(refused)
    await expect(only({ scope: { operation: 'op', workload: id('hop2') } })).rejects.toMatchObject(refused)
    await expect(only({ scope: { operation: 'op', workload: id('edge') } })).resolves.toBeDefined()
    await expect(only({ scope: 'op' })).resolves.toBeDefined()
    await expect(only({ end: NOW })).rejects.toMatchObject(refused)
  })

  it('K-OBSERVE that was seen to be over stays so for operations that were planned before, when the clock is set back', async () => {
    const clock = new FakeClock(NOW)
    const { kest } = setting(observing({ tier: 'platform' }), { 'plat/a': false }, clock)
    const [planned, other] = ['planned', 'other'].map((name) =>
      kest.operation({ ...operation, operation: name }),
    )
    const refused = { code: 'ERR_KEST_DENIED', policies: ['plat/a'] }
    await expect(kest.begin(planned as never, { state: null })).resolves.toBeDefined()
    clock.advance(END - NOW)
    await expect(kest.begin(other as never, { state: null })).rejects.toMatchObject(refused)
    clock.advance(-DAY_MS)
    for (const one of [other, planned])
      await expect(kest.begin(one as never, { state: null })).rejects.toMatchObject(refused)
  })

  it('K-OBSERVE is exempted from by a deviation as ever', async () => {
    const exempting = `deviations: [{ policy: plat/a, tier: platform, scope: op, reason: r, approver: me }]\n`
    const deciding = engine({ 'plat/a': false })
    const begun = await setting(observing({}) + exempting, deciding).begin()
    expect(begun.entry.entry.policy_context).toMatchObject({
      platform_policies: [],
      deviations: [{ policy: 'plat/a', tier: 'platform', reason: 'r', approver: 'me' }],
    })
    expect(labelOf(begun)).toBeNull()
    expect(deciding.requests.some(({ policies }) => policies.includes('plat/a'))).toBe(false)
  })
})

describe('beside an observed policy', () => {
  it.each<[string, Answer, string]>([
    ['denies', false, 'ERR_KEST_DENIED'],
    ['fails', new Error('down'), 'ERR_KEST_ENGINE'],
    ['is late', 'never', 'ERR_KEST_ENGINE_TIMEOUT'],
  ])('K-OBSERVE an enforced policy that %s always refuses', async (_, answer, code) => {
    const { begin, warned } = setting(
      observing({ tier: 'function' }),
      { 'ent/b': answer, 'fn/a': false },
      undefined,
      20,
    )
    await expect(begin()).rejects.toMatchObject({ code, policies: ['ent/a', 'ent/b'] })
    // What is refused was not let through.
    expect(warned()).toEqual([])
  })

  it('K-OBSERVE tells an engine that works on what is observed when an enforced policy denies', async () => {
    let stopped: AbortSignal | undefined
    const deciding = new MockPolicyEngine(({ policies }, signal) => {
      if (!policies.includes('fn/a')) return Promise.resolve(!policies.includes('plat/a'))
      stopped = signal
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    onTestFinished(() => void process.off('unhandledRejection', unhandled))
    await expect(setting(observing({ tier: 'function' }), deciding).begin()).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
    })
    expect(stopped?.aborted).toBe(true)
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('K-OBSERVE an engine that fails where nothing is enforced is not said to work again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const answers: Record<string, Answer> = { 'fn/a': new Error('down') }
    const deployment = `policies: {}\n${observing({ scope: 'observed' }).slice(TIERS.length)}`
    const { kest, logger } = setting(deployment, answers)
    const begin = (name: string) =>
      kest.begin({ ...operation, policy: 'fn/a', operation: name }, { state: null }).catch(({ code }) => code)
    const again = () => logger.records.filter(({ message }) => message === 'the policy engine works again')
    expect(await begin('enforced')).toBe('ERR_KEST_ENGINE')
    vi.advanceTimersByTime(10_000)
    expect(await begin('observed')).toMatchObject({ entry: {} })
    expect(again()).toEqual([])
    answers['fn/a'] = false
    expect(await begin('observed')).toMatchObject({ entry: {} })
    expect(again()).toHaveLength(1)
  })

  it('K-OBSERVE reads what is computed once, and leaves no refusal unobserved beside it', async () => {
    const remote = (fn: boolean): PolicyEngine => ({
      evaluate: async () => fn,
      evaluateAll: (requests) => requests.map(computedAnswer),
    })
    const observed = observing({ tier: 'enterprise' }, { tier: 'platform' }, { tier: 'application' })
    const denied = ['ent/a', 'ent/b', 'plat/a', 'app/a']
    const begun = await setting(observed, remote(true)).begin()
    expect(begun.entry.entry.policy_context.deviations.map(({ policy }) => policy)).toEqual(denied)
    await expect(setting(observed, remote(false)).begin()).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
  })

  it('K-OBSERVE who has left runs nothing, while what is observed is not decided', async () => {
    const { kest } = setting(observing({ tier: 'function' }), { 'fn/a': 'never' })
    const leaving = new AbortController()
    const begun = kest.begin(operation, { state: null, signal: leaving.signal })
    setImmediate(() => leaving.abort())
    await expect(begun).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
  })

  it.each<[string, object, string]>([
    ['no engine', { engine: undefined }, 'ERR_KEST_CONFIG'],
    ['no identity', { identity: undefined }, 'ERR_KEST_CONFIG'],
    [
      'an identity that fails',
      { identity: { getWorkloadId: () => id('edge'), current: () => Promise.reject(new Error('no agent')) } },
      'ERR_KEST_IDENTITY',
    ],
    [
      'a key that does not sign',
      {
        identity: {
          getWorkloadId: () => id('edge'),
          current: () => ({
            workloadId: id('edge'),
            header: { alg: 'EdDSA', kid: 'k' },
            local: true,
            sign: () => raise(new Error('no key')),
          }),
        },
      },
      'ERR_KEST_IDENTITY',
    ],
    [
      'an audit trail that is full',
      {
        telemetry: {
          auditTrail: {
            reserve: () => raise(new KestError('ERR_KEST_AUDIT_UNAVAILABLE', 'full')),
          },
        },
      },
      'ERR_KEST_AUDIT_UNAVAILABLE',
    ],
  ])('K-OBSERVE %s is never observed: no entry, and no operation', async (_, options, code) => {
    const everything = `${observing({})}  `
    const { kest } = service('edge', everything, new FakeClock(NOW), { engine: engine({}), ...options })
    await expect(kest.begin(operation, { state: null })).rejects.toMatchObject({ code })
  })

  it('K-OBSERVE is no option of code', async () => {
    const { kest } = service('edge', TIERS)
    expect(() => kest.operation({ ...operation, observe: true } as never)).toThrow(/unknown option "observe"/)
  })
})

describe('an entry of what was observed', () => {
  it('K-OBSERVE is for others the same as for us, and its taint stays', async () => {
    const denying = engine({ 'fn/a': false, 'test/allow': false })
    const observingEdge = service(
      'edge',
      ROOTS + observing({ tier: 'function' }).replace(TIERS, ''),
      new FakeClock(NOW),
      {
        engine: denying,
      },
    )
    const headers = await sends(observingEdge, { origin: 'user_input' })
    const reader = service('reader', ROOTS, new FakeClock(NOW))
    const state = await reader.kest.extract(headers)
    expect(reader.warnings()).toEqual([])
    expect(state.frame.lineage.tips[0]).toMatchObject({ trustScore: 40, taints: ['kest.observed'] })
    const removing = { operation: 'x', policy: 'p', sanitizer: true, removedTaints: ['other'] }
    const { entry } = await reader.kest.begin(removing, { state })
    expect(entry.taints).toEqual(['kest.observed'])
    expect(entry.entry.added_taints).toEqual([])
  })

  it('K-OBSERVE has both what is observed of its lineage and of its policies', async () => {
    const lineage = {
      what: 'lineage',
      scope: { all: true },
      reason: 'r',
      approver: 'me',
      expires: new Date(END),
    }
    const policies = { ...lineage, what: 'policy' }
    const deployment = `${TIERS}observe: ${JSON.stringify([lineage, policies])}\n`
    const { kest } = service('reader', deployment, new FakeClock(NOW), { engine: engine({ 'fn/b': false }) })
    const begun = await kest.begin(operation, { state: await kest.extract({}) })
    expect(labelOf(begun)).toEqual([
      { code: 'ERR_KEST_DENIED', policy: 'fn/b', tier: 'function' },
      { code: 'ERR_KEST_LINEAGE_MISSING', policy: null, tier: 'lineage' },
    ])
    expect(begun.entry).toMatchObject({ trustScore: 0, taints: ['kest.observed', 'kest.unproven'] })
    const again = await kest.extract(
      await kest.run(begun.enter(), () => kest.inject({} as Record<string, string>, READER)),
    )
    expect(again.frame.lineage.tips[0]?.taints).toEqual(['kest.observed', 'kest.unproven'])
  })

  const names = ['ent/a', 'ent/b', 'plat/a', 'app/a', 'fn/a', 'fn/b']
  const tierOf: Readonly<Record<string, PolicyTier>> = {
    'ent/a': 'enterprise',
    'ent/b': 'enterprise',
    'plat/a': 'platform',
    'app/a': 'application',
    'fn/a': 'function',
    'fn/b': 'function',
  }
  const answers = fc.record(
    Object.fromEntries(names.map((name) => [name, fc.constantFrom<Answer>(true, true, false, 'nonsense')])),
  )
  const items = fc.array(
    fc.record(
      {
        policies: fc.subarray(names, { minLength: 1 }),
        scope: fc.constantFrom<unknown>({ all: true }, 'op', 'other', {
          operation: 'op',
          workload: id('edge'),
        }),
        end: fc.constantFrom(NOW - 1, NOW + 1),
      },
      { requiredKeys: ['scope', 'end'] },
    ),
    { maxLength: 3 },
  )

  it('K-OBSERVE never says that a policy allowed what it denied, and refuses what is enforced', async () => {
    const seen = { refused: 0, observed: 0 }
    await fc.assert(
      fc.asyncProperty(answers, items, fc.boolean(), async (said, observed, delayed) => {
        const isObserved = (name: string): boolean =>
          observed.some(
            ({ policies, scope, end }) =>
              end > NOW && scope !== 'other' && (policies === undefined || policies.includes(name)),
          )
        const deciding = engine(said, delayed)
        const { begin } = setting(observing(...(observed as Item[])), deciding)
        const denied = names.filter((name) => said[name] !== true)
        const result = await begin().catch((error: unknown) => error)
        if (!denied.every(isObserved)) {
          seen.refused++
          expect(result).toBeInstanceOf(KestError)
          return
        }
        const { entry } = (result as Operation).entry
        const { deviations, ...tiers } = entry.policy_context
        const listed = Object.values(tiers).flat()
        expect(listed.sort()).toEqual(names.filter((name) => said[name] === true).sort())
        expect(deviations.map(({ policy, tier }) => [policy, tier])).toEqual(
          denied.map((policy) => [policy, tierOf[policy]]),
        )
        expect(entry.taints).toEqual(denied.length > 0 ? ['kest.observed'] : [])
        if (denied.length > 0) seen.observed++
      }),
      { numRuns: 200, seed: 18 },
    )
    expect(Math.min(seen.refused, seen.observed)).toBeGreaterThan(10)
  })
})

describe('questions that are observed', () => {
  it('K-OBSERVE see the request as policies that are enforced do', async () => {
    const requestsOf = async (deployment: string): Promise<PolicyRequest[]> => {
      const deciding = engine({})
      await setting(deployment, deciding).begin()
      return deciding.requests
    }
    const strip = ({ context }: PolicyRequest): unknown => {
      const { policy_names: _, ...environment } = context.environment
      return { ...context, environment }
    }
    const enforced = await requestsOf(TIERS)
    const observed = await requestsOf(observing({ tier: 'platform' }))
    const platform = ({ context }: PolicyRequest) => context.environment.policy_tier === 'platform'
    expect(observed.filter(platform).map(strip)).toEqual(enforced.filter(platform).map(strip))
  })
})
