import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it } from 'vitest'
import { LABEL } from '../src/entry/entry.js'
import type { Operation } from '../src/hook/operation.js'
import { cacheDecisions } from '../src/policy/decision-cache.js'
import type { Decision, PolicyEngine } from '../src/policy/engine.js'
import { createFunctionEngine } from '../src/policy/function-engine.js'
import { FakeClock } from '../src/testing/fake-clock.js'
import { DAY_MS, service } from './support/services.js'

const NOW = Date.now()
const OBSERVING = `policies: {}
observe:
  - { what: policy, policies: [slow], scope: { all: true }, reason: r, approver: a, expires: ${new Date(NOW + DAY_MS).toISOString()} }
`
const ALL = OBSERVING.replace('policies: [slow], ', '')

/** What an engine is asked and has not answered. */
interface Hanging {
  answer(decision: boolean): void
  readonly signal: AbortSignal
}

/** Hangs on `slow`, and allows at once what else it is asked. */
function hanging() {
  const under: Hanging[] = []
  const engine: PolicyEngine = {
    evaluate: ({ policies }, { signal }) =>
      policies.includes('slow')
        ? new Promise<boolean | Decision>((resolve) => under.push({ answer: resolve, signal }))
        : true,
  }
  return { engine, under }
}

function setting(engine: PolicyEngine, policyTimeoutMs: number, deployment = OBSERVING, more = {}) {
  const { kest, logger } = service('edge', deployment, new FakeClock(NOW), {
    engine,
    policyTimeoutMs,
    ...more,
  })
  const begin = (policy: string | readonly [string, ...string[]] = ['slow', 'other']) =>
    kest.begin({ operation: 'op', policy, origin: 'internal' }, { state: null })
  return { begin, logger }
}

const observedIn = ({ entry }: Operation): unknown => JSON.parse(entry.entry.labels[LABEL.observed] ?? '[]')
const notAsked = [{ code: 'ERR_KEST_NOT_ASKED', policy: 'slow', tier: 'function' }]
const late = [{ code: 'ERR_KEST_ENGINE_TIMEOUT', policy: 'slow', tier: 'function' }]

describe('an observed policy that hangs', () => {
  it('K-OBSERVE is asked eight times at once of an engine without an aside, and beyond that not, which is on record and not said to be allowed', async () => {
    const { engine, under } = hanging()
    const { begin, logger } = setting(engine, 60_000)
    const waiting = Array.from({ length: 8 }, () => begin())
    await expect.poll(() => under.length).toBe(8)
    const ninth = await begin()
    expect(observedIn(ninth)).toEqual(notAsked)
    expect(ninth.entry.taints).toEqual(['kest.observed'])
    expect(ninth.entry.entry.policy_context).toMatchObject({
      function_policies: ['other'],
      deviations: [
        { policy: 'slow', tier: 'function', reason: 'observed: ERR_KEST_NOT_ASKED', approver: 'a' },
      ],
    })
    const [line] = logger.records.filter(({ details }) => details['code'] === 'ERR_KEST_NOT_ASKED')
    expect(line?.message).toMatch(/was not asked: nobody knows whether it allows/)
    expect(under).toHaveLength(8)
    for (const { answer } of under) answer(true)
    for (const one of await Promise.all(waiting)) expect(observedIn(one)).toEqual([])
    const again = begin()
    await expect.poll(() => under.length).toBe(9)
    under[8]?.answer(false)
    expect(observedIn(await again)).toMatchObject([{ code: 'ERR_KEST_DENIED' }])
  })

  it('K-OBSERVE is waited for by one request at a time once it was late, until it answers', async () => {
    const { engine, under } = hanging()
    let answers = false
    const answering: PolicyEngine = {
      evaluate: (request, options) => (answers ? Promise.resolve(true) : engine.evaluate(request, options)),
    }
    const { begin } = setting(answering, 30)
    expect(observedIn(await begin())).toEqual(late)
    const probe = begin()
    expect(observedIn(await begin())).toEqual(notAsked)
    expect(observedIn(await probe)).toEqual(late)
    expect(under).toHaveLength(2)
    answers = true
    for (const one of [await begin(), ...(await Promise.all([begin(), begin()]))])
      expect(observedIn(one)).toEqual([])
    expect(under).toHaveLength(2)
  })

  it('K-OBSERVE holds its place for as long as its engine works on it, whoever waits', async () => {
    const { engine, under } = hanging()
    const { begin } = setting(engine, 5)
    for (let count = 0; count < 8; count++) expect(observedIn(await begin())).toEqual(late)
    expect(observedIn(await begin())).toEqual(notAsked)
    expect(under.every(({ signal }) => signal.aborted)).toBe(true)
    under[0]?.answer(true)
    await expect.poll(async () => observedIn(await begin())).toEqual(late)
  })

  it('K-OBSERVE holds no place of an engine that answers or throws at once, and is not late for that', async () => {
    const { engine, under } = hanging()
    let atOnce: (() => boolean) | null = () => true
    const { begin } = setting(
      { evaluate: (request, options) => atOnce?.() ?? engine.evaluate(request, options) },
      60_000,
    )
    const codesOf = async (count: number): Promise<unknown> =>
      await Promise.all(Array.from({ length: count }, async () => observedIn(await begin('slow'))))
    expect(await codesOf(20)).toEqual(Array(20).fill([]))
    atOnce = () => false
    expect(await codesOf(20)).toMatchObject(Array(20).fill([{ code: 'ERR_KEST_DENIED' }]))
    atOnce = () => {
      throw new Error('down')
    }
    expect(await codesOf(20)).toMatchObject(Array(20).fill([{ code: 'ERR_KEST_ENGINE' }]))
    atOnce = null
    const waiting = Array.from({ length: 8 }, () => begin('slow'))
    await expect.poll(() => under.length).toBe(8)
    expect(observedIn(await begin('slow'))).toEqual(notAsked)
    for (const { answer } of under) answer(true)
    for (const one of await Promise.all(waiting)) expect(observedIn(one)).toEqual([])
  })

  it('K-OBSERVE is asked of the aside of an engine that has one, and what is enforced of the engine itself', async () => {
    const asked: string[] = []
    const by = (name: string): PolicyEngine => ({
      evaluate: ({ policies }) => {
        asked.push(`${name} ${policies}`)
        return true
      },
    })
    const engine = { ...by('engine'), aside: by('aside') }
    for (const one of [engine, cacheDecisions(engine, { ignore: [] })]) await setting(one, 60_000).begin()
    expect(asked).toEqual(['engine other', 'aside slow', 'engine other', 'aside slow'])
  })

  it('K-OBSERVE is forgotten by a cache on both sides', async () => {
    let count = 0
    const counting = (): PolicyEngine => ({ evaluate: () => ++count > 0 })
    const cache = cacheDecisions(
      { ...counting(), aside: counting() },
      { ignore: ['environment.parent_hash'] },
    )
    const { begin } = setting(cache, 60_000)
    for (const asked of [2, 2]) {
      await begin()
      expect(count).toBe(asked)
    }
    expect(cache.stats()).toEqual({ decisions: 2, hits: 2, misses: 2, joined: 0 })
    cache.invalidate()
    await begin()
    expect(count).toBe(4)
  })
})

describe('many observed policies', () => {
  const many = Array.from({ length: 300 }, (_, index) => `team/policy-${index}`) as [string, ...string[]]

  it('K-OBSERVE are all asked of an engine that decides in process', async () => {
    const allowing = Object.fromEntries(many.map((policy) => [policy, () => true]))
    const evaluate: PolicyEngine = { evaluate: () => true }
    for (const engine of [createFunctionEngine(allowing), evaluate])
      expect(observedIn(await setting(engine, 60_000, ALL).begin(many))).toEqual([])
  })

  it('K-OBSERVE refuse nothing when they fail at once: the entry lists the first, counts the others and calls none of them allowed, and the span has all', async () => {
    const exporter = new InMemorySpanExporter()
    const telemetry = {
      tracerProvider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    }
    const { begin } = setting({ evaluate: () => false }, 60_000, ALL, { telemetry })
    const { entry } = await begin(many)
    const listed = JSON.parse(entry.entry.labels[LABEL.observed] as string) as { policy: string }[]
    const { deviations, function_policies } = entry.entry.policy_context
    expect(function_policies).toEqual([])
    expect(listed.length).toBeGreaterThan(4)
    expect(listed.map(({ policy }) => policy)).toEqual(many.slice(0, listed.length).sort())
    expect(deviations.map(({ policy }) => policy)).toEqual(many.slice(0, listed.length))
    expect(Number(entry.entry.labels[LABEL.observedLeftOut])).toBe(many.length - listed.length)
    expect(entry.jws.length).toBeLessThan(5_000)
    const all = JSON.parse(exporter.getFinishedSpans()[0]?.attributes['kest.observed'] as string) as {
      policy: string
    }[]
    expect(all.map(({ policy }) => policy)).toEqual([...many].sort())
  })

  it('K-OBSERVE are left out of an entry that has no room for their names', async () => {
    const few = many.slice(0, 4) as [string, ...string[]]
    const sizeOf = async (engine: PolicyEngine, limits = {}) =>
      (await setting(engine, 60_000, ALL, { limits }).begin(few)).entry
    const { length } = (await sizeOf({ evaluate: () => true })).jws
    const { entry } = await sizeOf({ evaluate: () => false }, { entryBytes: length + 150 })
    expect(entry.labels).toMatchObject({ [LABEL.observed]: '[]', [LABEL.observedLeftOut]: '4' })
    expect(entry.policy_context).toMatchObject({ function_policies: [], deviations: [] })
  })
})
