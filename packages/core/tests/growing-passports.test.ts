import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { describe, expect, it } from 'vitest'
import { createKest, type Kest } from '../src/config/kest.js'
import type { KestOptions } from '../src/config/options.js'
import type { KestState } from '../src/context/state.js'
import { createKeySource } from '../src/identity/keys.js'
import { MockIdentityProvider } from '../src/identity/mock.js'
import { tipsDigest } from '../src/passport/stated-tips.js'
import { MemoryCache } from '../src/propagation/memory-cache.js'
import { MockPolicyEngine } from '../src/testing/mock-engine.js'
import { RecordingLogger } from '../src/testing/recording-logger.js'

const ORDERS = 'http://orders.test'
const [edge, orders] = [new MockIdentityProvider('edge'), new MockIdentityProvider('orders')]
const trust = createKeySource(
  Object.fromEntries([edge, orders].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)

function kestOf(identity: MockIdentityProvider, more: Partial<KestOptions> = {}): Kest {
  const logger = new RecordingLogger()
  return createKest({ identity, trust, engine: new MockPolicyEngine(), logger, ...more })
}

async function step(kest: Kest, state: KestState | null): Promise<KestState> {
  const definition = { operation: 'step', policy: 'p', ...(state === null && { origin: 'system' }) }
  return (await kest.begin(definition, { state })).state
}

/** A request of which so many operations ran at once, each of which has settled. */
async function fannedOut(kest: Kest, width: number): Promise<KestState> {
  const root = await step(kest, null)
  const branches = Array.from({ length: width }, () =>
    kest.begin({ operation: 'branch', policy: 'p' }, { state: root }),
  )
  for (const branch of await Promise.all(branches)) branch.settle()
  return root
}

describe('K-TIPS', () => {
  it.each([false, true])(
    'K-TIPS 200 parallel operations before one call cross, and an entry after them names all (hop token: %s)',
    async (hop) => {
      const cache = new MemoryCache()
      const sender = kestOf(edge, { cache })
      const state = await fannedOut(sender, 200)
      const headers = await sender.inject({} as Record<string, string>, ORDERS, { hop, state })
      expect(headers['baggage']).toMatch(/kest\.claim_check=[^,]+,kest\.chain_tip=~[0-9a-f]{64}/)

      const receiver = kestOf(orders, { cache })
      const listener = receiver.listener(hop ? { binding: 'hop', audiences: [ORDERS] } : {})
      const received = await listener.receive({ headers })
      const next = await step(receiver, received)
      expect(next.frame.lineage.tips).toHaveLength(1)
      expect(next.frame.lineage.length).toBe(202)

      const back = await receiver.inject({} as Record<string, string>, 'http://edge.test', { state: next })
      const returned = await sender.listener().receive({ headers: back })
      expect(returned.frame.lineage.length).toBe(202)
    },
  )

  it.each([
    ['cut', (hashes: string[]) => hashes.slice(1)],
    ['grafted', (hashes: string[]) => [...hashes, 'f'.repeat(64)]],
  ])('K-TIPS K-TIP a digest of tips that were %s is refused', async (_, spoil) => {
    const cache = new MemoryCache()
    const sender = kestOf(edge, { cache })
    const state = await fannedOut(sender, 70)
    const { baggage } = await sender.inject({} as Record<string, string>, ORDERS, { state })
    const other = tipsDigest(spoil(state.frame.lineage.tips.map(({ hash }) => hash)))
    const spoiled = baggage?.replace(/~[0-9a-f]{64}/, other) as string
    const receiving = kestOf(orders, { cache }).extract({ baggage: spoiled })
    await expect(receiving).rejects.toMatchObject({ code: 'ERR_KEST_TIP' })
  })

  it('K-TIPS K-HOP a token of a digest is refused beside another fan-out of the same sender', async () => {
    const cache = new MemoryCache()
    const sender = kestOf(edge, { cache })
    const [one, other] = [await fannedOut(sender, 70), await fannedOut(sender, 70)]
    const sent = async (state: KestState): Promise<string> =>
      (await sender.inject({} as Record<string, string>, ORDERS, { hop: true, state }))['baggage'] ?? ''
    const token = /kest\.hop=[^,]+/
    const spoiled = (await sent(one)).replace(token, token.exec(await sent(other))?.[0] ?? '')
    const listener = kestOf(orders, { cache }).listener({ binding: 'hop', audiences: [ORDERS] })
    await expect(listener.receive({ headers: { baggage: spoiled } })).rejects.toMatchObject({
      code: 'ERR_KEST_BINDING',
    })
  })
})

describe('growing', () => {
  const grown = async (kest: Kest, steps: number, each: (state: KestState) => unknown): Promise<void> => {
    let state: KestState | null = null
    for (let i = 0; i < steps; i++) {
      state = await step(kest, state)
      await each(state)
    }
  }

  it('a passport goes from tier to tier by itself, and an operator sees it', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const meterProvider = new MeterProvider({ readers: [reader] })
    const logger = new RecordingLogger()
    const kest = kestOf(edge, { cache: new MemoryCache(), telemetry: { meterProvider }, logger })
    const headers: string[] = []
    await grown(kest, 40, async (state) => {
      headers.push((await kest.inject({} as Record<string, string>, ORDERS, { state }))['baggage'] ?? '')
    })
    const tiers = headers.map((header) => header.split('=', 1)[0])
    expect([...new Set(tiers)]).toEqual(['kest.passport', 'kest.passport_z', 'kest.claim_check'])

    await reader.forceFlush()
    const all =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
    const points = (name: string): [unknown, unknown][] =>
      (all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? []).map((point) => [
        point.attributes['kest.tier'],
        point.value,
      ])
    const count = (name: string): number => tiers.filter((tier) => tier === name).length
    expect(points('kest.outbound.passports')).toEqual([
      ['plain', count('kest.passport')],
      ['compressed', count('kest.passport_z')],
      ['claim_check', count('kest.claim_check')],
    ])
    const total = headers.reduce((sum, header) => sum + header.length, 0)
    const sizes = points('kest.outbound.header.size') as [string, { count: number; sum: number }][]
    expect(sizes.reduce((sum, [, size]) => sum + size.sum, 0)).toBe(total)
    expect(logger.records.filter(({ level }) => level === 'warn')).toEqual([])
    await meterProvider.shutdown()
  })

  it('without a cache an operator is told, once, before the first request is not sent', async () => {
    const logger = new RecordingLogger()
    const kest = kestOf(edge, { logger })
    const said = (): number => logger.records.filter(({ message }) => message.includes('no cache')).length
    const saidAt: number[] = []
    let sent = 0
    const sending = grown(kest, 40, async (state) => {
      await kest.inject({}, ORDERS, { state })
      sent++
      saidAt.push(said())
    })
    await expect(sending).rejects.toMatchObject({ code: 'ERR_KEST_TOO_LARGE' })
    expect(saidAt[0]).toBe(0)
    expect(saidAt.at(-1)).toBe(1)
    const details = logger.records.find(({ message }) => message.includes('no cache'))?.details ?? {}
    expect(details['entries']).toBe(saidAt.indexOf(1) + 1)
    expect(details['entries']).toBeLessThan(sent)
    expect(details['percent']).toBeGreaterThanOrEqual(75)
  })

  it('what is stored is on its way while the hop token is being signed', async () => {
    const events: string[] = []
    const cache = new MemoryCache()
    const slow = {
      get: (key: string) => cache.get(key),
      setIfAbsent: async (...args: [string, string, number]) => {
        events.push('storing')
        return cache.setIfAbsent(...args)
      },
    }
    const local = edge.current()
    let current = local
    const identity = { getWorkloadId: () => edge.getWorkloadId(), current: () => current }
    const kest = createKest({
      identity,
      trust,
      engine: new MockPolicyEngine(),
      logger: new RecordingLogger(),
      cache: slow,
    })
    let last: KestState | undefined
    await grown(kest, 40, (state) => {
      last = state
    })
    const sign = async (input: Buffer): Promise<Uint8Array> => {
      events.push('signing')
      return local.sign(input)
    }
    current = { ...local, local: false, sign }
    await kest.inject({}, ORDERS, { hop: true, state: last })
    expect(events).toEqual(['storing', 'signing'])
  })
})
