import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import { KestConfigError, KestError, PolicyDeniedError } from '../errors.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { MaybePromise } from '../maybe-promise.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { type AskOptions, ask } from './ask.js'
import { cacheDecisions, type DecisionCacheOptions } from './decision-cache.js'
import type { Decision, PolicyContext, PolicyEngine, PolicyRequest } from './engine.js'

const names = Object.freeze(['p'])
const base: PolicyContext = {
  subject: {
    workload: 'w',
    user: 'alice',
    agent: null,
    task: null,
    trust_score: 40,
    taints: [],
    identity_by: null,
  },
  object: { id: 'o', attributes: {} },
  environment: {
    is_root: true,
    source_type: 'system',
    parent_hash: '0',
    policy_names: names,
    policy_tier: 'function',
    active_deviations: [],
    classification: 'system',
  },
  identity: 'w',
  trust_score: 40,
  lineage: { depth: 0, principals: [], operations: [], classifications: [] },
}

let entries = 0
function request(user = 'alice', policies: readonly string[] = names): PolicyRequest {
  const environment = { ...base.environment, policy_names: policies }
  const context = { ...base, environment, subject: { ...base.subject, user } }
  return { entryId: `entry-${++entries}`, policies, context }
}

/** One question alone, as a hook asks it. */
const decide = (engine: PolicyEngine, one: PolicyRequest, options: AskOptions) =>
  ask([{ engine, request: one }], options)

const never = new AbortController().signal
const asks = (engine: PolicyEngine, question = request(), signal = never) =>
  engine.evaluate(question, { signal })

/** An engine whose answers come when the test says so. */
class Pending implements PolicyEngine {
  readonly asked: {
    readonly request: PolicyRequest
    readonly signal: AbortSignal
    answer(answer: unknown): void
    fail(error: unknown): void
  }[] = []

  evaluate(request: PolicyRequest, { signal }: { readonly signal: AbortSignal }): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.asked.push({ request, signal, answer: resolve as (answer: unknown) => void, fail: reject })
    })
  }
}

function cached(decisions: ConstructorParameters<typeof MockPolicyEngine>[0], options = {}) {
  const clock = new FakeClock()
  const engine = new MockPolicyEngine(decisions)
  return { clock, engine, cache: cacheDecisions(engine, { ignore: [], clock, ...options }) }
}

describe('a kept decision', () => {
  it.each<[string, boolean | Decision]>([
    ['an allow', true],
    ['a denial', false],
    ['an allow with a reason', { allow: true, reason: 'because' }],
    ['a denial with a reason', { allow: false, reason: 'embargo' }],
  ])('that is %s answers the same question again, at once', async (_, decision) => {
    for (const later of [false, true]) {
      const { cache, engine } = cached(() => (later ? Promise.resolve(decision) : decision))
      expect(await asks(cache)).toEqual(decision)
      expect(asks(cache)).toEqual(decision)
      expect(engine.requests).toHaveLength(1)
      expect(cache.stats()).toEqual({ decisions: 1, hits: 1, misses: 1, joined: 0 })
    }
  })

  it('keeps no more of a reason than is told', async () => {
    const { cache } = cached(() => ({ allow: true, reason: 'x'.repeat(60_000) }))
    await asks(cache)
    expect(asks(cache)).toEqual({ allow: true, reason: `${'x'.repeat(1_023)}…` })
  })

  it('cannot be changed by who gets it', async () => {
    const answer = { allow: false, reason: 'no' }
    const { cache } = cached(() => answer)
    await asks(cache)
    answer.allow = true
    expect(asks(cache)).toEqual({ allow: false, reason: 'no' })
    expect(asks(cache)).toSatisfy(Object.isFrozen)
  })

  it('answers no other question', () => {
    const { cache, engine } = cached(({ context }) => context.subject.user === 'alice')
    expect(asks(cache)).toBe(true)
    expect(asks(cache, request('mallory'))).toBe(false)
    expect(engine.requests).toHaveLength(2)
  })

  it('lasts ttlMs, a denial deniedTtlMs', async () => {
    const { cache, clock, engine } = cached(({ context }) => context.subject.user === 'alice', {
      ttlMs: 1_000,
      deniedTtlMs: 100,
    })
    const both = () => Promise.all([asks(cache), asks(cache, request('mallory'))])
    await both()
    clock.advance(99)
    await both()
    expect(engine.requests).toHaveLength(2)
    clock.advance(1)
    await both()
    expect(engine.requests).toHaveLength(3)
    clock.advance(900)
    await both()
    expect(engine.requests).toHaveLength(5)
  })

  it('does not last longer because the clock was set back', async () => {
    const { cache, clock, engine } = cached(true)
    await asks(cache)
    clock.advance(-1)
    await asks(cache)
    expect(engine.requests).toHaveLength(2)
  })

  it('is not kept when it is a denial and deniedTtlMs is 0', async () => {
    const { cache, engine } = cached(false, { deniedTtlMs: 0 })
    await asks(cache)
    await asks(cache)
    expect(engine.requests).toHaveLength(2)
    expect(cache.stats().decisions).toBe(0)
  })

  it('makes room for newer ones, oldest first', async () => {
    const { cache, engine } = cached(true, { max: 2 })
    for (const user of ['a', 'b', 'c', 'b', 'a']) await asks(cache, request(user))
    expect(engine.requests.map(({ context }) => context.subject.user)).toEqual(['a', 'b', 'c', 'a'])
    expect(cache.stats().decisions).toBe(2)
  })

  it('is not made of questions that are as long as strangers like', async () => {
    const { cache, engine } = cached(true)
    for (let i = 0; i < 2; i++) await asks(cache, request('x'.repeat(10_000)))
    expect(engine.requests).toHaveLength(2)
    expect(cache.stats().decisions).toBe(0)
  })

  it('is asked anew when the engine says that it decides by something else now', async () => {
    const engine = Object.assign(new MockPolicyEngine(), { generation: 1 })
    const cache = cacheDecisions(engine, { ignore: [] })
    await asks(cache)
    engine.generation = 2
    await asks(cache)
    expect(engine.requests).toHaveLength(2)
    expect(cache.generation).toBe(2)
  })

  it('is forgotten when it is told so: by the name of a policy, or all', async () => {
    const { cache, engine } = cached(true)
    const both = async () => {
      await asks(cache)
      await asks(cache, request('alice', ['q', 'r']))
      return engine.requests.splice(0).map(({ policies }) => policies)
    }
    expect(await both()).toEqual([['p'], ['q', 'r']])
    expect(await both()).toEqual([])
    cache.invalidate('r')
    expect(await both()).toEqual([['q', 'r']])
    cache.invalidate()
    expect(await both()).toEqual([['p'], ['q', 'r']])
    await cache.close?.()
    expect(cache.stats().decisions).toBe(0)
  })
})

describe('what is no decision', () => {
  it.each<[string, () => unknown]>([
    ['an error', () => Promise.reject(new Error('down'))],
    [
      'an error at once',
      () => {
        throw new Error('down')
      },
    ],
    ['text', () => 'true'],
    ['nothing', () => undefined],
    ['an object without a decision', () => Promise.resolve({ allow: 'yes' })],
  ])('is never kept: %s', async (_, answer) => {
    const { cache, engine } = cached(answer as never)
    for (let i = 0; i < 2; i++) {
      const asking = async () => decide(cache, request(), { timeoutMs: 1_000, signal: null })
      await expect(asking).rejects.toBeInstanceOf(PolicyDeniedError)
    }
    expect(engine.requests).toHaveLength(2)
    expect(cache.stats()).toMatchObject({ decisions: 0, hits: 0 })
  })
})

describe('a question under way', () => {
  it('is asked once, and answers all who ask the same meanwhile', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const all = Promise.all([asks(cache), asks(cache), asks(cache)])
    const other = asks(cache, request('bob'))
    expect(engine.asked).toHaveLength(2)
    engine.asked[0]?.answer(true)
    engine.asked[1]?.answer(false)
    expect(await all).toEqual([true, true, true])
    expect(await other).toBe(false)
    expect(cache.stats()).toEqual({ decisions: 2, hits: 0, misses: 2, joined: 2 })
  })

  it('goes on while one waits, and is aborted when the last has left', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const callers = [new AbortController(), new AbortController()]
    const gone = new KestError('ERR_KEST_ABORTED', 'gone')
    const waiting = callers.map(({ signal }) => asks(cache, request(), signal) as Promise<boolean>)
    const [first, second] = waiting.map((one) => one.catch((error: unknown) => error))
    callers[0]?.abort(gone)
    expect(await first).toBe(gone)
    expect(engine.asked[0]?.signal.aborted).toBe(false)
    callers[1]?.abort(gone)
    expect(await second).toBe(gone)
    expect(engine.asked[0]?.signal.aborted).toBe(true)
    expect(engine.asked[0]?.signal.reason).toBe(gone)

    const again = asks(cache)
    expect(engine.asked).toHaveLength(2)
    engine.asked[1]?.answer(true)
    expect(await again).toBe(true)
  })

  it('still answers those who stay, and is kept for them', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const caller = new AbortController()
    const left = (asks(cache, request(), caller.signal) as Promise<boolean>).catch(() => 'left')
    const stayed = asks(cache)
    caller.abort(new KestError('ERR_KEST_ABORTED', 'gone'))
    const joined = asks(cache)
    engine.asked[0]?.answer(true)
    expect(await Promise.all([left, stayed, joined])).toEqual(['left', true, true])
    expect(asks(cache)).toBe(true)
    expect(engine.asked).toHaveLength(1)
  })

  it('is joined by nobody once it was too late for one, so that one that hangs blocks nobody for long', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const late = decide(cache, request(), { timeoutMs: 5, signal: null })
    const patient = decide(cache, request(), { timeoutMs: 60_000, signal: null })
    await expect(late).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT' })
    const next = decide(cache, request(), { timeoutMs: 60_000, signal: null })
    expect(engine.asked).toHaveLength(2)
    engine.asked[1]?.answer(true)
    await expect(next).resolves.toBeUndefined()
    engine.asked[0]?.answer(false)
    await expect(patient).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
    expect(asks(cache)).toBe(true)
  })

  it('that fails fails for all of them, each in its own name', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const questions = [request(), request()]
    const all = questions.map((one) => decide(cache, one, { timeoutMs: 1_000, signal: null }))
    const cause = new TypeError('not JSON')
    const typed = new PolicyDeniedError('ERR_KEST_ENGINE_ANSWER', {
      policies: ['p'],
      entryId: questions[0]?.entryId as string,
      cause,
    })
    engine.asked[0]?.fail(typed)
    for (const [index, one] of all.entries()) {
      await expect(one).rejects.toMatchObject({
        code: 'ERR_KEST_ENGINE_ANSWER',
        entryId: questions[index]?.entryId,
        policies: ['p'],
        cause,
      })
    }
    expect(cache.stats().decisions).toBe(0)
  })

  it('is not kept when it was invalidated meanwhile', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const before = asks(cache)
    cache.invalidate()
    const after = asks(cache)
    expect(engine.asked).toHaveLength(2)
    engine.asked[0]?.answer(true)
    engine.asked[1]?.answer(false)
    expect(await Promise.all([before, after])).toEqual([true, false])
    expect(asks(cache)).toBe(false)
  })

  it('leaves no listener on the signal of who stayed', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    const { signal } = new AbortController()
    const answer = asks(cache, request(), signal)
    engine.asked[0]?.answer(true)
    await answer
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('asked for somebody who has left already is aborted', async () => {
    const engine = new Pending()
    const cache = cacheDecisions(engine, { ignore: [] })
    await expect(asks(cache, request(), AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    expect(engine.asked[0]?.signal.aborted).toBe(true)
  })
})

describe('K-ASK questions that are asked at once', () => {
  /** Answers when the test says so, by the place of the question among all that it was asked. */
  class Outside extends Pending {
    readonly lists: (readonly PolicyRequest[])[] = []

    evaluateAll(requests: readonly PolicyRequest[], options: { readonly signal: AbortSignal }) {
      this.lists.push(requests)
      return requests.map((one) => this.evaluate(one, options))
    }
  }

  const tiers = (user = 'alice') => [request(user, ['a']), request(user, ['b']), request(user, ['c'])]
  const all = (cache: PolicyEngine, requests = tiers(), signal = never) =>
    cache.evaluateAll?.(requests, { signal }) as readonly MaybePromise<boolean | Decision>[]
  const namesOf = (engine: Outside) => engine.lists.map((list) => list.map(({ policies }) => policies[0]))

  it('are looked up one by one, and only what is missing is asked', async () => {
    const engine = new Outside()
    const cache = cacheDecisions(engine, { ignore: [] })
    const known = asks(cache, request('alice', ['b']))
    engine.asked[0]?.answer(false)
    await known
    const [a, b, c] = all(cache)
    expect(b).toBe(false)
    expect(namesOf(engine)).toEqual([['a', 'c']])
    engine.asked[2]?.answer({ allow: true, reason: 'third' })
    engine.asked[1]?.answer(true)
    expect([await a, await c]).toEqual([true, { allow: true, reason: 'third' }])
    expect(all(cache)).toEqual([true, false, { allow: true, reason: 'third' }])
    expect(cache.stats()).toEqual({ decisions: 3, hits: 4, misses: 3, joined: 0 })
  })

  it('are asked alone where one is missing, and join what is under way', async () => {
    const engine = new Outside()
    const cache = cacheDecisions(engine, { ignore: [] })
    const first = all(cache, tiers().slice(0, 2))
    const second = all(cache)
    expect(namesOf(engine)).toEqual([['a', 'b']])
    expect(engine.asked).toHaveLength(3)
    for (const one of engine.asked) one.answer(true)
    expect(await Promise.all([...first, ...second])).toEqual([true, true, true, true, true])
    expect(cache.stats()).toEqual({ decisions: 3, hits: 0, misses: 3, joined: 2 })
  })

  it('are aborted when nobody waits for any of them any more', async () => {
    const engine = new Outside()
    const cache = cacheDecisions(engine, { ignore: [] })
    const caller = new AbortController()
    const gone = new KestError('ERR_KEST_ABORTED', 'gone')
    const answers = all(cache, tiers(), caller.signal).map(async (one) => {
      try {
        return await one
      } catch (error) {
        return error
      }
    })
    const joined = asks(cache, request('alice', ['c']))
    engine.asked[0]?.answer(false)
    expect(await answers[0]).toBe(false)
    caller.abort(gone)
    expect(await Promise.all(answers)).toEqual([false, gone, gone])
    // Somebody else waits for the third.
    expect(engine.asked[1]?.signal.aborted).toBe(false)
    engine.asked[2]?.answer(true)
    expect(await joined).toBe(true)
    expect(engine.asked[1]?.signal.aborted).toBe(false)

    const leaving = new AbortController()
    const left = all(cache, tiers('bob'), leaving.signal).map((one) =>
      Promise.resolve(one).catch(() => 'left'),
    )
    engine.asked[3]?.answer(true)
    await left[0]
    leaving.abort(gone)
    expect(await Promise.all(left)).toEqual([true, 'left', 'left'])
    expect(engine.asked[4]?.signal.aborted).toBe(true)
  })

  it('an earlier denial of which ends the later ones, which others may still ask', async () => {
    const engine = new Outside()
    const cache = cacheDecisions(engine, { ignore: [] })
    const questions = tiers().map((one) => ({ engine: cache, request: one }))
    const denied = ask(questions, { timeoutMs: 60_000, signal: null })
    const patient = asks(cache, request('alice', ['b']))
    engine.asked[0]?.answer(false)
    await expect(denied).rejects.toMatchObject({ code: 'ERR_KEST_DENIED', policies: ['a'] })
    expect(engine.asked[0]?.signal.aborted).toBe(false)
    engine.asked[1]?.answer(true)
    expect(await patient).toBe(true)
    expect(asks(cache, request('alice', ['b']))).toBe(true)
  })

  it.each<[string, () => unknown]>([
    ['too few', () => [true, true]],
    ['too many', async () => [true, true, true, true]],
    ['no list', () => true],
    ['an error', () => Promise.reject(new Error('down'))],
    [
      'an error at once',
      () => {
        throw new Error('down')
      },
    ],
    ['garbage in each place', () => ['true', 1, {}]],
  ])('are not kept when the answer is none: %s', async (_, evaluateAll) => {
    const engine = { evaluate: () => true, evaluateAll: evaluateAll as never }
    const cache = cacheDecisions(engine, { ignore: [] })
    for (let i = 0; i < 2; i++) {
      const asking = async () =>
        ask(
          tiers().map((one) => ({ engine: cache, request: one })),
          { timeoutMs: 60_000, signal: null },
        )
      await expect(asking).rejects.toMatchObject({ policies: ['a'] })
    }
    expect(cache.stats()).toMatchObject({ decisions: 0, hits: 0 })
  })

  it('are answered each for itself where an answer beside them cannot be read', async () => {
    const cause = new Error('down')
    const unreadable = {
      get allow(): boolean {
        throw new Error('unreadable')
      },
    }
    const engine: PolicyEngine = {
      evaluate: () => true,
      evaluateAll: () => [Promise.reject(cause), unreadable, true],
    }
    const cache = cacheDecisions(engine, { ignore: [] })
    const asking = async () =>
      ask(
        tiers().map((one) => ({ engine: cache, request: one })),
        { timeoutMs: 60_000, signal: null },
      )
    await expect(asking).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE', policies: ['a'], cause })
  })

  it('still share what they share, without what is withheld', () => {
    const engine = new Outside()
    const cache = cacheDecisions(engine, { ignore: ['subject.user', 'environment.parent_hash'] })
    const context = { ...base, environment: { ...base.environment } }
    const other = { ...base, environment: { ...base.environment, policy_tier: 'platform' as const } }
    void all(cache, [
      { entryId: 'e', policies: names, context },
      { entryId: 'e', policies: names, context: other },
    ])
    const [one, two] = engine.asked.map(({ request: { context: seen } }) => seen)
    expect(one?.subject).not.toHaveProperty('user')
    expect(two?.subject).toBe(one?.subject)
    expect(two?.lineage).toBe(one?.lineage)
    expect(two?.environment).toMatchObject({ policy_tier: 'platform' })
    expect(two?.environment).not.toHaveProperty('parent_hash')
  })

  it('are asked in order where the engine is asked in order', () => {
    expect(cacheDecisions(new Pending(), { ignore: [] }).evaluateAll).toBeUndefined()
  })
})

describe('cacheDecisions', () => {
  it.each<[unknown, RegExp]>([
    [undefined, /expected an object of options/],
    [{}, /ignore: expected a list/],
    [{ ignore: 'lineage' }, /ignore: expected a list/],
    [{ ignore: ['environment.policy_names'] }, /"environment\.policy_names" is none of/],
    [{ ignore: ['subject.workload'] }, /"subject\.workload" is none of/],
    [{ ignore: [], ttl: 1 }, /unknown option "ttl"/],
    [{ ignore: [], ttlMs: 0 }, /ttlMs: .*got 0/],
    [{ ignore: [], ttlMs: Number.POSITIVE_INFINITY }, /ttlMs/],
    [{ ignore: [], deniedTtlMs: -1 }, /deniedTtlMs/],
    [{ ignore: [], max: 1.5 }, /max/],
    [{ ignore: [], clock: 5 }, /clock/],
  ])('refuses %j', (options, message) => {
    const make = () => cacheDecisions(new MockPolicyEngine(), options as DecisionCacheOptions)
    expect(make).toThrow(KestConfigError)
    expect(make).toThrow(message)
    for (const none of [{}, null, { evaluate: () => true, evaluateAll: 1 }]) {
      expect(() => cacheDecisions(none as never, { ignore: [] })).toThrow(/expected an engine/)
    }
  })

  it('closes the engine', async () => {
    let closed = 0
    const engine = Object.assign(new MockPolicyEngine(), { close: () => void closed++ })
    await createKest({ engine: cacheDecisions(engine, { ignore: [] }) }).close()
    expect(closed).toBe(1)
  })

  it('K-ORDER saves the question and nothing else: each operation has its own entry, and lineage still differs', async () => {
    const engine = new MockPolicyEngine()
    const cache = cacheDecisions(engine, { ignore: ['environment.parent_hash'] })
    const kest = createKest({
      identity: new MockIdentityProvider('w'),
      engine: cache,
      logger: new RecordingLogger(),
    })
    const root = await kest.begin({ operation: 'a', policy: 'p', origin: 'system' })
    const other = await kest.begin({ operation: 'a', policy: 'p', origin: 'system' })
    const children = await Promise.all(
      [root, other].map(({ state }) => kest.begin({ operation: 'b', policy: 'p' }, { state })),
    )
    await kest.begin({ operation: 'b', policy: 'p' }, { state: (children[0] as typeof root).state })
    expect(new Set([root, other, ...children].map(({ entry }) => entry.hash)).size).toBe(4)
    expect(engine.requests.map(({ context }) => context.lineage.depth)).toEqual([0, 1, 2])
    expect(cache.stats()).toMatchObject({ hits: 2, misses: 3 })
    expect(engine.requests[0]?.context.environment).not.toHaveProperty('parent_hash')
  })
})
