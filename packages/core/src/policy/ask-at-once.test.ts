import { describe, expect, it } from 'vitest'
import { computedAnswer } from '../../tests/support/computed-answer.js'
import { KestError, PolicyDeniedError } from '../errors.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { type AskOptions, ask } from './ask.js'
import type { Decision, PolicyContext, PolicyEngine, PolicyRequest } from './engine.js'

const TIERS = ['enterprise', 'platform', 'function'] as const
const REQUESTS = TIERS.map((tier) => requestOf(tier))

function requestOf(tier: string): PolicyRequest {
  return { entryId: 'id', policies: [`${tier}/one`], context: {} as PolicyContext }
}

/** An engine outside the process, whose answers come when the test says so. */
class Outside implements PolicyEngine {
  readonly asked: string[][] = []
  readonly answers = new Map<string, { yes(answer: unknown): void; no(cause: unknown): void }>()
  /** What each question was given; made when it is asked, so that it can be looked at later. */
  readonly options: { readonly signal: AbortSignal }[] = []

  evaluate(request: PolicyRequest, options: { readonly signal: AbortSignal }): Promise<boolean | Decision> {
    this.asked.push([tierOf(request)])
    this.options.push(options)
    return this.#answerTo(request)
  }

  evaluateAll(
    requests: readonly PolicyRequest[],
    options: { readonly signal: AbortSignal },
  ): MaybePromise<readonly MaybePromise<boolean | Decision>[]> {
    this.asked.push(requests.map(tierOf))
    this.options.push(options)
    return requests.map((request) => this.#answerTo(request))
  }

  settle(tier: string, outcome: Outcome): void {
    const answer = this.answers.get(tier)
    if (outcome === 'allow') answer?.yes({ allow: true, reason: tier })
    if (outcome === 'deny') answer?.yes(false)
    if (outcome === 'garbage') answer?.yes('yes')
    if (outcome === 'fail') answer?.no(new Error(`${tier} is down`))
  }

  #answerTo(request: PolicyRequest): Promise<boolean | Decision> {
    return new Promise((yes, no) => {
      this.answers.set(tierOf(request), { yes: yes as (answer: unknown) => void, no })
    })
  }
}

type Outcome = 'allow' | 'deny' | 'garbage' | 'fail' | 'hang'
const CODES = {
  deny: 'ERR_KEST_DENIED',
  garbage: 'ERR_KEST_ENGINE_ANSWER',
  fail: 'ERR_KEST_ENGINE',
  hang: 'ERR_KEST_ENGINE_TIMEOUT',
} as const

function tierOf({ policies }: PolicyRequest): string {
  return (policies[0] as string).split('/')[0] as string
}

/** What comes of asking, and which tiers were reported to allow, in that order. */
function asking(engines: PolicyEngine | readonly PolicyEngine[], options: Partial<AskOptions> = {}) {
  const allowed: string[] = []
  const questions = REQUESTS.map((request, index) => ({
    engine: Array.isArray(engines) ? (engines[index] as PolicyEngine) : (engines as PolicyEngine),
    request,
  }))
  const outcome = async () => {
    try {
      await ask(questions, {
        timeoutMs: 60_000,
        signal: null,
        onAllowed: (request) => allowed.push(tierOf(request)),
        ...options,
      })
      return 'allowed'
    } catch (error) {
      return error as PolicyDeniedError
    }
  }
  return { allowed, outcome: outcome() }
}

function orders<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((first, index) => orders(items.toSpliced(index, 1)).map((rest) => [first, ...rest]))
}

describe('K-ASK an engine outside the process', () => {
  it('is asked for all tiers at once, before any answer is there', async () => {
    const engine = new Outside()
    const { outcome, allowed } = asking(engine)
    expect(engine.asked).toEqual([[...TIERS]])
    for (const tier of TIERS) engine.settle(tier, 'allow')
    expect(await outcome).toBe('allowed')
    expect(allowed).toEqual(TIERS)
    expect(engine.asked).toHaveLength(1)
  })

  it('is judged in the order of tiers, in whatever order it answers, and reports what the first in order has', async () => {
    const kinds = ['allow', 'deny', 'garbage', 'fail', 'hang'] as const
    for (const first of kinds)
      for (const second of kinds)
        for (const third of kinds)
          for (const order of orders([0, 1, 2])) {
            const outcomes = [first, second, third]
            const engine = new Outside()
            const decisive = outcomes.findIndex((one) => one !== 'allow')
            // Who hangs is given up soon; who does not is never late.
            const hangs = outcomes[decisive] === 'hang'
            const { outcome, allowed } = asking(engine, { timeoutMs: hangs ? 1 : 60_000 })
            for (const place of order) engine.settle(TIERS[place] as string, outcomes[place] as Outcome)
            const came = await outcome
            const told = `${outcomes} in the order ${order}`
            expect(allowed, told).toEqual(decisive === -1 ? TIERS : TIERS.slice(0, decisive))
            if (decisive === -1) expect(came, told).toBe('allowed')
            else
              expect(came, told).toMatchObject({
                code: CODES[outcomes[decisive] as keyof typeof CODES],
                policies: [`${TIERS[decisive]}/one`],
                entryId: 'id',
              })
          }
  })

  it('is not waited for after an earlier denial, and is told that its later answers are not needed', async () => {
    for (const outcome of ['deny', 'garbage', 'fail'] as const) {
      const engine = new Outside()
      const asked = asking(engine)
      const [{ signal } = { signal: null }] = engine.options
      engine.settle('enterprise', 'allow')
      engine.settle('platform', outcome)
      const error = (await asked.outcome) as KestError
      expect(error).toMatchObject({ code: CODES[outcome], policies: ['platform/one'] })
      expect(signal?.aborted).toBe(true)
      expect(signal?.reason).toMatchObject({ code: 'ERR_KEST_ABORTED', cause: error })
      engine.settle('function', 'fail')
    }
  })

  it('is not aborted when all allowed, or when the last one denies', async () => {
    for (const last of ['allow', 'deny'] as const) {
      const engine = new Outside()
      const { outcome } = asking(engine)
      for (const tier of TIERS) engine.settle(tier, tier === 'function' ? last : 'allow')
      await outcome
      expect(engine.options[0]?.signal.aborted).toBe(false)
    }
  })

  it('has one time for all of it, and all of it is aborted when it is up', async () => {
    const engine = new Outside()
    const { outcome } = asking(engine, { timeoutMs: 5 })
    engine.settle('enterprise', 'allow')
    const error = await outcome
    expect(error).toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT', policies: ['platform/one'] })
    expect(engine.options[0]?.signal.reason).toBe(error)
    // Too late, whatever it is.
    engine.settle('platform', 'fail')
    engine.settle('function', 'allow')
  })

  it('is aborted when the caller leaves', async () => {
    const engine = new Outside()
    const caller = new AbortController()
    const { outcome, allowed } = asking(engine, { signal: caller.signal })
    engine.settle('function', 'deny')
    caller.abort()
    expect(await outcome).toMatchObject({ code: 'ERR_KEST_ABORTED' })
    expect(engine.options[0]?.signal.aborted).toBe(true)
    engine.settle('enterprise', 'allow')
    engine.settle('platform', 'allow')
    await Promise.resolve()
    expect(allowed).toEqual([])
  })

  it('is aborted when between two answers nobody waits any more', async () => {
    const engine = new Outside()
    const gone = new KestError('ERR_KEST_ABORTED', 'gone')
    let judged = 0
    const { outcome } = asking(engine, {
      throwIfGone: () => {
        if (judged++ === 1) throw gone
      },
    })
    engine.settle('enterprise', 'allow')
    expect(await outcome).toBe(gone)
    expect(engine.options[0]?.signal.aborted).toBe(true)
  })

  it('that answers at once costs no promise', () => {
    const engine: PolicyEngine = {
      evaluate: () => false,
      evaluateAll: (requests) => requests.map(() => true),
    }
    const questions = REQUESTS.map((request) => ({ engine, request }))
    expect(ask(questions, { timeoutMs: 1_000, signal: null })).toBeUndefined()
  })

  it('that answers at once, too, is aborted by a denial', () => {
    let given: { readonly signal: AbortSignal } | undefined
    const engine: PolicyEngine = {
      evaluate: () => false,
      evaluateAll: (_, options) => {
        given = options
        return [true, false, new Promise(() => {})]
      },
    }
    const questions = REQUESTS.map((request) => ({ engine, request }))
    expect(() => ask(questions, { timeoutMs: 1_000, signal: null })).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_DENIED', policies: ['platform/one'] }),
    )
    expect(given?.signal.aborted).toBe(true)
  })

  it('is asked by evaluate where there is one question alone', async () => {
    const engine = new Outside()
    const asked = ask([{ engine, request: requestOf('function') }], { timeoutMs: 60_000, signal: null })
    expect(engine.asked).toEqual([['function']])
    engine.settle('function', 'allow')
    await asked
  })
})

describe('NF-SEC-03 K-ASK what is not one outcome for each question', () => {
  const list = (...outcomes: unknown[]) => outcomes
  it.each<[string, unknown, string]>([
    ['too few', list(true, true), 'expected 3 outcomes, got 2'],
    ['none', [], 'expected 3 outcomes, got 0'],
    ['too many', list(true, true, true, true), 'expected 3 outcomes, got 4'],
    ['no list', true, 'expected 3 outcomes, got no list'],
    ['nothing', undefined, 'expected 3 outcomes, got no list'],
    ['what looks like a list', { length: 3, 0: true, 1: true, 2: true }, 'expected 3 outcomes, got no list'],
  ])('denies: %s, at once or later', async (_, answers, reason) => {
    for (const evaluateAll of [() => answers, async () => answers]) {
      const { outcome, allowed } = asking({ evaluate: () => true, evaluateAll: evaluateAll as never })
      expect(await outcome).toMatchObject({
        code: 'ERR_KEST_ENGINE_ANSWER',
        reason,
        policies: ['enterprise/one'],
      })
      expect(allowed).toEqual([])
    }
  })

  it.each<[string, unknown[]]>([
    ['nothing in place of one', list(true, undefined, true)],
    ['a hole', Object.assign(new Array(3), { 0: true, 2: true })],
    ['a list in the list', list(true, [true], true)],
    ['text', list(true, 'true', true)],
    ['a promise of garbage', list(true, Promise.resolve({ allow: 1 }), true)],
  ])('denies in its place: %s', async (_, answers) => {
    for (const evaluateAll of [() => answers, async () => answers]) {
      const { outcome, allowed } = asking({ evaluate: () => true, evaluateAll: evaluateAll as never })
      expect(await outcome).toMatchObject({ code: 'ERR_KEST_ENGINE_ANSWER', policies: ['platform/one'] })
      expect(allowed).toEqual(['enterprise'])
    }
  })

  it('denies when it is thrown, at once or later, and keeps the cause and the code of a typed one', async () => {
    const cause = new Error('unreachable')
    const typed = new PolicyDeniedError('ERR_KEST_ENGINE_TIMEOUT', { policies: ['p'], entryId: 'id' })
    for (const thrown of [cause, typed]) {
      for (const evaluateAll of [
        () => {
          throw thrown
        },
        () => Promise.reject(thrown),
      ]) {
        const { outcome } = asking({ evaluate: () => true, evaluateAll })
        const error = await outcome
        if (thrown === typed) expect(error).toBe(typed)
        else expect(error).toMatchObject({ code: 'ERR_KEST_ENGINE', cause, policies: ['enterprise/one'] })
      }
    }
  })

  it('denies where a list cannot be read', async () => {
    const unreadable = new Proxy([true, true, true], {
      get() {
        throw new Error('unreadable')
      },
    })
    const { outcome } = asking({ evaluate: () => true, evaluateAll: () => unreadable })
    expect(await outcome).toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('counts the first of two answers, in a promise of any kind', async () => {
    const twice = (...answers: unknown[]): never =>
      // biome-ignore lint/suspicious/noThenProperty: it is what is tested
      ({ then: (yes: (answer: unknown) => void) => answers.forEach((answer) => void yes(answer)) }) as never
    const denies = asking({ evaluate: () => true, evaluateAll: () => [true, twice(false, true), true] })
    expect(await denies.outcome).toMatchObject({ code: 'ERR_KEST_DENIED', policies: ['platform/one'] })
    const allows = asking({
      evaluate: () => true,
      evaluateAll: () => twice([true, true, true], [false, false, false]),
    })
    expect(await allows.outcome).toBe('allowed')
  })

  it.each([[true], [false]])('whose answer computes its then() is read once: at once %s', async (atOnce) => {
    const engine: PolicyEngine = { evaluate: computedAnswer }
    if (atOnce) engine.evaluateAll = (requests) => requests.map(computedAnswer)
    expect(await asking(engine).outcome).toMatchObject({
      code: 'ERR_KEST_DENIED',
      policies: ['enterprise/one'],
    })
  })

  it('that fails later than it matters troubles nobody', async () => {
    const engine = new Outside()
    const { outcome } = asking(engine)
    engine.settle('function', 'fail')
    engine.settle('platform', 'fail')
    engine.settle('enterprise', 'deny')
    expect(await outcome).toMatchObject({ code: 'ERR_KEST_DENIED', policies: ['enterprise/one'] })
  })
})

describe('K-ASK an engine in the process', () => {
  const inside = (answer: (tier: string) => MaybePromise<boolean>) => {
    const asked: string[] = []
    const engine: PolicyEngine = {
      evaluate: (request) => {
        asked.push(tierOf(request))
        return answer(tierOf(request))
      },
    }
    return { asked, engine }
  }

  it('is asked for one tier after another, and for none after a denial', async () => {
    for (const later of [false, true]) {
      const { asked, engine } = inside((tier) => {
        const answer = tier !== 'platform'
        return later ? Promise.resolve(answer) : answer
      })
      expect(await asking(engine).outcome).toMatchObject({ policies: ['platform/one'] })
      expect(asked).toEqual(['enterprise', 'platform'])
    }
  })

  it('is asked nothing more once the time was up', async () => {
    const answers: ((answer: boolean) => void)[] = []
    const { asked, engine } = inside(() => new Promise((resolve) => answers.push(resolve)))
    const { outcome, allowed } = asking(engine, { timeoutMs: 5 })
    expect(await outcome).toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT', policies: ['enterprise/one'] })
    answers[0]?.(true)
    await new Promise(setImmediate)
    expect(asked).toEqual(['enterprise'])
    expect(allowed).toEqual([])
  })

  it('is asked before one outside, which is asked for nothing if it denies', async () => {
    const outside = new Outside()
    const { engine } = inside(() => false)
    expect(await asking([engine, outside, outside]).outcome).toMatchObject({ policies: ['enterprise/one'] })
    expect(outside.asked).toEqual([])
  })

  it('is asked in its place behind one outside', async () => {
    const outside = new Outside()
    const { engine, asked } = inside(() => true)
    const { outcome, allowed } = asking([outside, engine, outside])
    expect(outside.asked).toEqual([['enterprise', 'function']])
    expect(asked).toEqual([])
    outside.settle('function', 'allow')
    outside.settle('enterprise', 'allow')
    expect(await outcome).toBe('allowed')
    expect(allowed).toEqual(TIERS)
  })

  it('does not keep two engines outside from being asked at once', async () => {
    const [one, other] = [new Outside(), new Outside()]
    const { outcome } = asking([one, one, other])
    expect([one.asked, other.asked]).toEqual([[['enterprise', 'platform']], [['function']]])
    other.settle('function', 'fail')
    one.settle('platform', 'deny')
    one.settle('enterprise', 'allow')
    expect(await outcome).toMatchObject({ code: 'ERR_KEST_DENIED', policies: ['platform/one'] })
    expect(other.options[0]?.signal.aborted).toBe(true)
  })

  it('whose answer is a promise of its own is waited for', () => {
    const { engine } = inside(() => Promise.resolve(true))
    expect(isPromise(ask([{ engine, request: requestOf('function') }], { timeoutMs: 1, signal: null }))).toBe(
      true,
    )
  })
})
