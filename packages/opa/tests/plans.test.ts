import type { ServerResponse } from 'node:http'
import { createKest, type Decision, type PolicyRequest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type OPAOptions, OPAPolicyEngine, policyPlans } from '../src/index.js'
import { planName } from '../src/plans/format.js'
import { requestOf } from './support/context.js'
import { json, scriptedOpa } from './support/scripted-opa.js'

const TIERS = [['e/one'], ['p/one', 'p/two'], ['e/one']] as const
const NAME = planName(TIERS)
const PLAN = `/v1/data/kest_plans/${NAME}`
const ALL = { plan: NAME, '0': true, '1': true, '2': { allow: true, reason: 'on call' }, '3': true }
const ALLOWED = [true, { allow: true, reason: 'p/two: on call' }, true]

function engineAt(url: string, options: Omit<OPAOptions, 'url'> = {}): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({ url, timeoutMs: 60_000, plans: true, ...options })
  onTestFinished(() => engine.close())
  return engine
}

function requests(tiers: readonly (readonly string[])[] = TIERS): PolicyRequest[] {
  return tiers.map((policies, i) => requestOf(policies, { environment: { source_type: `${i}` } }))
}

function ask(
  engine: OPAPolicyEngine,
  asked = requests(),
  signal = new AbortController().signal,
): Promise<PromiseSettledResult<true | Decision>[]> {
  return Promise.allSettled(engine.evaluateAll(asked, { signal }))
}

async function decisions(engine: OPAPolicyEngine, asked = requests()): Promise<unknown[]> {
  const settled = await ask(engine, asked)
  return settled.map((one) =>
    one.status === 'fulfilled' ? one.value : (one.reason as { code: string }).code,
  )
}

/** Answers single questions with `true`, `p/two` with a reason, and the plan as it is told. */
function opaWith(plan: (response: ServerResponse) => void) {
  return scriptedOpa((response, { path }) => {
    if (path.startsWith('/v1/data/kest_plans/')) plan(response)
    else json(response, { result: path.endsWith('/two') ? { allow: true, reason: 'on call' } : true })
  })
}

/** When this resolves, the plan has been tried, and is asked. */
async function use(engine: OPAPolicyEngine): Promise<void> {
  await ask(engine)
  await vi.waitUntil(() => engine.plans()[0]?.state === 'used', { timeout: 60_000 })
}

function state(engine: OPAPolicyEngine): string | undefined {
  return engine.plans()[0]?.state
}

describe('a plan of OPA', () => {
  it('is tried beside the single questions first, and then asked alone, with the context of each', async () => {
    const opa = await opaWith((response) => json(response, { result: ALL }))
    const engine = engineAt(opa.url)
    expect(engine.plans()).toEqual([])
    expect(await decisions(engine)).toEqual(ALLOWED)
    await vi.waitUntil(() => state(engine) === 'used', { timeout: 60_000 })
    expect(opa.asked.map(({ path }) => path).sort()).toEqual(
      ['/v1/data/e/one', '/v1/data/e/one', '/v1/data/p/one', '/v1/data/p/two', PLAN].sort(),
    )
    const before = opa.asked.length
    expect(await decisions(engine)).toEqual(ALLOWED)
    const contexts = requests().map(({ context }) => context)
    expect(opa.asked.slice(before)).toEqual([
      expect.objectContaining({ path: PLAN, body: { input: { contexts } } }),
    ])
    expect(engine.plans()).toEqual([{ combination: TIERS, state: 'used' }])
  })

  it('is not asked for unless that is wanted, nor where there is nothing to join', async () => {
    const opa = await opaWith((response) => json(response, { result: ALL }))
    expect(await decisions(engineAt(opa.url, { plans: false }))).toEqual(ALLOWED)
    expect(await decisions(engineAt(opa.url), requests([['e/one']]))).toEqual([true])
    for (const path of ['0/one', 'a/..', 'a/b c', 'kest_plans/x', 'ä/b'])
      await decisions(engineAt(opa.url), requests([[path], ['e/one']]))
    expect(opa.asked.filter(({ path }) => path.includes('kest_plans/p_'))).toEqual([])
  })

  it.each<[string, object, readonly unknown[]]>([
    ['an undefined policy denies', { plan: NAME, '1': true, '2': true, '3': true }, ['e/one: undefined']],
    [
      'an undefined policy of a later tier denies',
      { ...ALL, '3': undefined },
      [null, null, 'e/one: undefined'],
    ],
    ['null is no decision', { ...ALL, '0': null }, ['ERR_KEST_ENGINE_ANSWER']],
    ['a partial set is no decision', { ...ALL, '0': ['x'] }, ['ERR_KEST_ENGINE_ANSWER']],
    ['a package decides by its allow', { ...ALL, '0': { allow: false, reason: 'no' } }, ['e/one: no']],
    ['the first that denies is the reason', { ...ALL, '1': false, '2': false }, [null, 'p/one']],
  ])('%s, as of a question of its own', async (_, document, expected) => {
    let answer: object = ALL
    const opa = await opaWith((response) => json(response, { result: answer }))
    const engine = engineAt(opa.url)
    await use(engine)
    answer = document
    const asked = opa.asked.length
    const found = await decisions(engine)
    expect(opa.asked.length).toBe(asked + 1)
    for (const [i, reason] of expected.entries()) {
      if (reason === null) expect(found[i]).toEqual(ALLOWED[i])
      else if (String(reason).startsWith('ERR_')) expect(found[i]).toBe(reason)
      else expect(found[i]).toEqual({ allow: false, reason })
    }
    expect(state(engine)).toBe('used')
  })

  it.each<[string, (response: ServerResponse) => void, string]>([
    ['is gone', (response) => json(response, {}), 'absent'],
    ['answers an error', (response) => json(response, { result: ALL }, 500), 'failed'],
    ['is that of another', (response) => json(response, { result: { ...ALL, plan: 'p_0' } }), 'failed'],
    ['says more than it is asked', (response) => json(response, { result: { ...ALL, '4': true } }), 'failed'],
    ['is no object', (response) => json(response, { result: true }), 'failed'],
    ['is a list', (response) => json(response, { result: [true, true, true, true] }), 'failed'],
    ['is no JSON', (response) => response.end('{'), 'failed'],
    ['is longer than an answer may be', (response) => response.end('x'.repeat(100_000)), 'failed'],
    ['breaks off', (response) => response.destroy(), 'failed'],
  ])(
    'that %s is left aside: each policy is asked alone, and the plan not again for a while',
    async (_, plan, left) => {
      let answer = (response: ServerResponse): unknown => json(response, { result: ALL })
      const opa = await opaWith((response) => answer(response))
      const engine = engineAt(opa.url, { plans: { retryMs: 2 ** 31 - 1 } })
      await use(engine)
      answer = plan
      expect(await decisions(engine)).toEqual(ALLOWED)
      expect(state(engine)).toBe(left)
      const asked = opa.asked.length
      expect(await decisions(engine)).toEqual(ALLOWED)
      expect(opa.asked.slice(asked).filter(({ path }) => path === PLAN)).toEqual([])
    },
  )

  it('is used again when it is there again', async () => {
    let there = true
    const opa = await opaWith((response) => json(response, there ? { result: ALL } : {}))
    const engine = engineAt(opa.url, { plans: { retryMs: 1 } })
    await use(engine)
    there = false
    expect(await decisions(engine)).toEqual(ALLOWED)
    expect(state(engine)).toBe('absent')
    there = true
    await vi.waitUntil(
      async () => {
        expect(await decisions(engine)).toEqual(ALLOWED)
        return state(engine) === 'used'
      },
      { timeout: 60_000 },
    )
  })

  it('that hangs while an earlier policy denies delays the denial by half of the time, and by nothing from then on', async () => {
    let hangs = false
    const opa = await scriptedOpa((response, { path }) => {
      if (path === PLAN && !hangs) json(response, { result: ALL })
      else if (path === '/v1/data/e/one') json(response, { result: false })
    })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const plansAsked = () => opa.asked.filter(({ path }) => path === PLAN).length
    // Nothing answers for the tiers behind: only the first is waited for.
    const engine = engineAt(opa.url, { plans: { retryMs: 2 ** 31 - 1 } })
    void ask(engine)
    while (state(engine) !== 'used') await new Promise(setImmediate)
    hangs = true
    for (let i = 0; i < 2; i++) {
      const leaving = new AbortController()
      const outcomes = engine.evaluateAll(requests(), leaving)
      for (const outcome of outcomes) outcome.catch(() => {})
      while (plansAsked() < 2) await new Promise(setImmediate)
      if (i === 0) vi.advanceTimersByTime(30_000)
      expect(await outcomes[0]).toEqual({ allow: false, reason: 'e/one' })
      expect(state(engine)).toBe('failed')
      leaving.abort(new Error('decided'))
    }
    expect(plansAsked()).toBe(2)
  })

  it('that is late is taken all the same where it comes before the single answers', async () => {
    const held: ServerResponse[] = []
    let hangs = false
    const opa = await scriptedOpa((response, { path }) => {
      if (hangs && path === PLAN) held.push(response)
      else if (path === PLAN) json(response, { result: ALL })
      // The single questions have no answer: they show that the plan is given up, and no more.
      else if (hangs) for (const plan of held.splice(0)) json(plan, { result: ALL })
      else json(response, { result: true })
    })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const engine = engineAt(opa.url)
    void ask(engine)
    while (state(engine) !== 'used') await new Promise(setImmediate)
    hangs = true
    const decided = decisions(engine)
    while (held.length === 0) await new Promise(setImmediate)
    vi.advanceTimersByTime(30_000)
    expect(await decided).toEqual(ALLOWED)
    expect(state(engine)).toBe('failed')
  })

  it('breaks off with whoever asked', async () => {
    let hangs = false
    const opa = await opaWith((response) => {
      if (!hangs) json(response, { result: ALL })
    })
    const engine = engineAt(opa.url)
    await use(engine)
    hangs = true
    const leaving = new AbortController()
    const asked = ask(engine, requests(), leaving.signal)
    leaving.abort(new Error('gone'))
    for (const outcome of await asked)
      expect(outcome).toMatchObject({ reason: { code: 'ERR_KEST_ENGINE', message: /gone/ } })
  })

  it('decides nothing by itself where OPA is gone', async () => {
    const opa = await opaWith((response) => json(response, { result: ALL }))
    const engine = engineAt(opa.url)
    await use(engine)
    const gone = engineAt('http://127.0.0.1:1')
    expect(await decisions(gone)).toEqual(['ERR_KEST_ENGINE', 'ERR_KEST_ENGINE', 'ERR_KEST_ENGINE'])
    expect(state(gone)).toBe('failed')
  })

  it('joins the policies of one question as well, and what is cached is not in it', async () => {
    const names = [['p/one', 'p/two']]
    const name = planName(names)
    const opa = await scriptedOpa((response, { path }) =>
      json(
        response,
        path.includes(name) ? { result: { plan: name, '0': true, '1': false } } : { result: false },
      ),
    )
    const engine = engineAt(opa.url)
    const [request] = requests(names) as [PolicyRequest]
    const { signal } = new AbortController()
    expect(await engine.evaluate(request, { signal })).toEqual({ allow: false, reason: 'p/one' })
    await vi.waitUntil(() => state(engine) === 'used', { timeout: 60_000 })
    expect(await engine.evaluate(request, { signal })).toEqual({ allow: false, reason: 'p/two' })
  })

  it('K-ASK an operation that a plan denies is refused by the first of its policies in order', async () => {
    let answer: object = ALL
    const policy = ['p/one', 'p/two'] as const
    const name = planName([policy])
    const opa = await scriptedOpa((response, { path }) =>
      json(response, { result: path.includes('kest_plans') ? answer : true }),
    )
    answer = { plan: name, '0': true, '1': true }
    const engine = engineAt(opa.url)
    const logger = new RecordingLogger()
    const kest = createKest({ identity: new MockIdentityProvider('spiffe://example.org/a'), engine, logger })
    const operation = { operation: 'read', policy, origin: 'user_input' } as const
    await kest.begin(operation)
    await vi.waitUntil(() => state(engine) === 'used', { timeout: 60_000 })
    await expect(kest.begin(operation)).resolves.toBeDefined()
    answer = { plan: name, '0': true, '1': { allow: false, reason: 'closed' } }
    await expect(kest.begin(operation)).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
      reason: 'p/two: closed',
    })
    // Undefined is no allow.
    answer = { plan: name, '0': true }
    await expect(kest.begin(operation)).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
  })

  it('K-OBSERVE is not asked for what is only observed', async () => {
    const opa = await opaWith((response) => json(response, { result: ALL }))
    const engine = engineAt(opa.url)
    await decisions(engine.aside)
    expect(opa.asked.filter(({ path }) => path === PLAN)).toEqual([])
  })

  it.each([
    [{ plans: 1 }, /plans/],
    [{ plans: { retryMs: 0 } }, /retryMs/],
    [{ plans: { retry: 1 } }, /retry/],
  ])('refuses the option %j', (options, message) => {
    expect(() => new OPAPolicyEngine({ url: 'http://opa', ...(options as object) })).toThrow(message)
  })
})

describe('policyPlans', () => {
  it('writes the same for the same combinations, in whatever order and however often', () => {
    const [one, two] = [TIERS, [['a/b'], ['c/d']]]
    expect(policyPlans([one, two, one])).toBe(policyPlans([two, one]))
    expect(policyPlans([two])).not.toBe(policyPlans([one]))
    expect(policyPlans([[['only/one']]])).toBe(policyPlans([]))
  })

  it('has a name of its own for each order, and for each division among tiers', () => {
    const names = [
      [['a', 'b'], ['c']],
      [['a'], ['b', 'c']],
      [['b', 'a'], ['c']],
      [['c'], ['a', 'b']],
      [['a', 'b', 'c']],
    ].map(planName)
    expect(new Set(names).size).toBe(names.length)
  })

  it('gives each document the context of its own tier', () => {
    const text = policyPlans([TIERS])
    expect(
      [...text.matchAll(/data(\S+) with input as input\.contexts\[(\d)\]/g)].map(([, path, at]) => [
        path,
        at,
      ]),
    ).toEqual([
      ['.e.one', '0'],
      ['.p.one', '1'],
      ['.p.two', '1'],
      ['.e.one', '2'],
    ])
  })

  it.each([
    ['"]\nallow := true', 'a path that would be more than a path'],
    ['orders/0', 'a number, which is another member in Rego than in OPA’s API'],
    ['orders/../x', 'a path that OPA leads elsewhere'],
    ['kest_plans/x', 'the plans themselves'],
    ['', 'nothing'],
  ])('refuses %j: %s', (path) => {
    expect(() => policyPlans([[['a'], [path]]])).toThrow(/no plan can be made/)
  })

  it.each([[null], [['a']], [[{ a: ['b'] }]], [[[[7], ['b']]]]])('refuses %j', (combinations) => {
    expect(() => policyPlans(combinations as never)).toThrow(/policyPlans/)
  })
})
