import {
  type Decision,
  entryHash,
  getCurrentPassport,
  getCurrentUser,
  type Kest,
  type KestEntry,
  LABEL,
  MemoryCache,
  type PolicyEngine,
} from '@kest/core'
import { OPAPolicyEngine } from '@kest/opa'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startOpa } from '../../../tests/brokers/opa.js'
import type {
  MessagingDriver,
  MessagingSystem,
  PlainMessage,
  SuiteConsumer,
  SuiteOptions,
} from './support/driver.js'
import { createWorld, type World } from './support/world.js'

const OPERATION = { policy: 'orders/handle' }

/** What was seen where a message was handled. */
interface Handled {
  readonly body: string
  readonly user: string | null
  /** Entries of the passport: the sender's, then that of the delivery. */
  readonly passport: readonly string[]
}

/** What is sent before whoever runs the broker has his way with it. */
const MOVED = ['kept', 'stripped', 'changed', 'labelled', 'again']

/** What becomes of it: as the manual has it. */
const MOVES_OF_THE_BOUND = [
  'again: ERR_KEST_BINDING',
  'again: handled',
  'changed: ERR_KEST_BINDING',
  'elsewhere: ERR_KEST_BINDING',
  'injected: ERR_KEST_LINEAGE_MISSING',
  'kept: handled',
  'labelled: handled',
  'late: ERR_KEST_BINDING',
  'malformed: ERR_KEST_BAGGAGE',
  'moved: ERR_KEST_BINDING',
  'stripped: ERR_KEST_LINEAGE_MISSING',
]
const MOVES_OF_THE_UNBOUND = [
  'again: handled',
  'changed: ERR_KEST_SIGNATURE',
  'elsewhere: handled',
  'injected: ERR_KEST_LINEAGE_MISSING',
  'kept: handled',
  'labelled: handled',
  'late: ERR_KEST_FRESHNESS',
  'malformed: ERR_KEST_BAGGAGE',
  'moved: handled',
  'stripped: ERR_KEST_LINEAGE_MISSING',
]

/** What every library passes on its real broker (K-MESSAGE). */
export function testMessaging(driver: MessagingDriver): void {
  const { users: senders = 50 } = driver
  describe(`${driver.name} on its broker`, () => {
    let system: MessagingSystem
    beforeAll(async () => {
      system = await driver.open()
    })
    afterAll(() => system?.close())

    /** A queue, and what its consumers have handled. */
    async function queueOf(world: World) {
      const name = await system.create()
      const handled: Handled[] = []
      const see = async ({ body }: PlainMessage): Promise<void> => {
        const user = getCurrentUser()
        // Whoever runs next must not be taken for this one.
        await new Promise((resolve) => setImmediate(resolve))
        expect(getCurrentUser()).toBe(user)
        handled.push({ body, user, passport: getCurrentPassport()?.toJSON() ?? [] })
      }
      const bodies = () => handled.map(({ body }) => body)
      return {
        name,
        handled,
        see,
        bodies,
        async send(
          user: string,
          sent: readonly string[],
          options: { told?: boolean; binding?: 'message'; kest?: Kest } = {},
        ) {
          const { kest = world.gateway } = options
          const producer = await system.producer(name, { told: true, ...options, kest })
          await world.as(user, () => producer.send(sent), kest)
          await producer.close()
        },
        async consume(
          options: Partial<SuiteOptions> & { concurrency?: number } = {},
          handler: (message: PlainMessage) => Promise<void> = see,
        ): Promise<SuiteConsumer> {
          const given = { kest: world.worker, operation: OPERATION, concurrency: 20, ...options }
          const consumer = await system.consumer(name, given, handler)
          onTestFinished(() => consumer.close())
          return consumer
        },
        /** Until as many different messages were handled. */
        async until(count: number) {
          await expect.poll(() => new Set(bodies()).size, { timeout: 240_000, interval: 20 }).toBe(count)
        },
      }
    }

    it('K-MESSAGE handles each message in an operation whose parent is the sender’s, in the order of one consumer', async () => {
      const world = await createWorld()
      const queue = await queueOf(world)
      const sent = Array.from({ length: 30 }, (_, n) => `message ${n}`)
      await queue.send('alice', sent)
      const consumer = await queue.consume({ concurrency: 1 })
      await queue.until(30)
      await consumer.close()
      if (driver.ordered) expect(queue.bodies()).toEqual(sent)
      expect(new Set(queue.bodies())).toEqual(new Set(sent))
      for (const { user, passport } of queue.handled) {
        expect(user).toBe('alice')
        expect(passport).toHaveLength(2)
        const [root, own] = passport as [string, string]
        expect(entryOf(own).parent_ids).toEqual([entryHash(root)])
      }
      await expect(world.audited()).resolves.toEqual({ traces: 1, entries: 1 + queue.handled.length })
    })

    it(`K-MESSAGE K-STATE ${senders * 20} messages of ${senders} users, by two consumers at 20 each, are handled each for its own user`, async () => {
      const world = await createWorld()
      const queue = await queueOf(world)
      const users = Array.from({ length: senders }, (_, n) => `user-${n}`)
      const consumers = [await queue.consume(), await queue.consume()]
      await Promise.all(
        users.map((user) =>
          queue.send(
            user,
            Array.from({ length: 20 }, (_, n) => `${user} ${n}`),
          ),
        ),
      )
      await queue.until(senders * 20)
      for (const consumer of consumers) await consumer.close()
      expect(queue.handled.filter(({ body, user }) => body.split(' ')[0] !== user)).toEqual([])
      const { traces, entries } = await world.audited()
      // What is delivered again is an operation again.
      expect([traces, entries]).toEqual([senders, senders + queue.handled.length])
    })

    it('K-MESSAGE what a consumer had not acknowledged whose process was killed is delivered again, as an operation of its own', async () => {
      const world = await createWorld()
      const queue = await queueOf(world)
      const { library } = driver
      const killed = await world.consumer({ library, url: system.urlOf(queue.name), name: queue.name })
      await queue.send('alice', ['one'], { binding: 'message' })
      queue.handled.push((await killed.said()) as Handled)
      await killed.kill()
      const consumer = await queue.consume({ binding: 'message', replayStore: new MemoryCache() })
      await expect.poll(() => queue.handled.length, { timeout: 240_000, interval: 20 }).toBeGreaterThan(1)
      await consumer.close()
      expect(queue.handled.map(({ body, user }) => [body, user])).toEqual(
        queue.handled.map(() => ['one', 'alice']),
      )
      const own = queue.handled.map(({ passport }) => entryOf(passport.at(-1) as string))
      expect(own[0]?.parent_ids).toEqual(own[1]?.parent_ids)
      expect(own[0]?.entry_id).not.toBe(own[1]?.entry_id)
      if (driver.redelivery === 'count')
        expect(own.slice(0, 2).map(({ labels }) => labels[LABEL.delivery])).toEqual(['1', '2'])
      // Where a broker only marks what it delivers again, an auditor is told of it.
      const known = driver.redelivery === 'mark' ? ['message-repeated'] : []
      await expect(world.audited(known)).resolves.toEqual({ traces: 1, entries: 1 + queue.handled.length })
      await expect(system.deadLetters(queue.name)).resolves.toEqual([])
    })

    it.each([
      ['message', MOVES_OF_THE_BOUND],
      ['none', MOVES_OF_THE_UNBOUND],
    ] as const)(
      'K-MESSAGE what whoever runs the broker can do with binding: %s',
      async (binding, expected) => {
        const world = await createWorld()
        const [queue, elsewhere] = [await queueOf(world), await queueOf(world)]
        const bound = binding === 'message' ? { binding } : {}
        await queue.send('alice', MOVED, bound)
        await queue.send('alice', ['late'], { ...bound, kest: world.earlier })
        await elsewhere.send('alice', ['elsewhere'], bound)
        const taken = new Map(
          [...(await system.take(queue.name)), ...(await system.take(elsewhere.name))].map((one) => [
            one.body,
            one,
          ]),
        )
        const of = (body: string): PlainMessage => taken.get(body) as PlainMessage
        for (const message of [
          of('kept'),
          { ...of('kept'), body: 'moved' },
          { ...of('stripped'), headers: {} },
          { body: 'injected', headers: {} },
          { ...of('changed'), headers: { baggage: withOtherSignature(of('changed')) } },
          { body: 'malformed', headers: { baggage: 'kest.passport=a,kest.passport=b' } },
          { ...of('labelled'), headers: { ...of('labelled').headers, priority: 'high' } },
          of('again'),
          of('late'),
          of('elsewhere'),
        ])
          await system.put(queue.name, message)
        const given = { ...bound, ...(binding === 'message' && { replayStore: new MemoryCache() }) }
        const consumer = await queue.consume({ ...given, maxAgeMs: 3_600_000, concurrency: 1 })
        await expect.poll(() => queue.bodies(), { timeout: 240_000, interval: 20 }).toContain('again')
        // When the first of them has been handled.
        await system.put(queue.name, of('again'))
        const seen = async () => {
          const letters = (await system.deadLetters(queue.name)).map(({ body, code }) => `${body}: ${code}`)
          return [...new Set([...queue.bodies().map((body) => `${body}: handled`), ...letters])].sort()
        }
        await expect.poll(seen, { timeout: 240_000, interval: 100 }).toEqual(expected)
        const again = () => queue.bodies().filter((body) => body === 'again').length
        if (binding === 'none')
          await expect.poll(again, { timeout: 240_000, interval: 20 }).toBeGreaterThan(1)
        await consumer.close()
        const own = queue.handled.map(({ passport }) => entryOf(passport.at(-1) as string))
        // Where a message was read is in what was signed for it.
        expect(new Set(own.map(({ operation }) => operation)).size).toBe(1)
        await world.audited()
      },
    )

    it('K-MESSAGE while OPA hangs, and is gone, nothing is handled and nothing put away; then all of it is handled', async () => {
      await using opa = await startOpa({
        'orders.rego': 'package orders.handle\n\nallow := true\n',
      })
      const engine = new CountingEngine(opa.url)
      onTestFinished(() => engine.close())
      const world = await createWorld(engine)
      const queue = await queueOf(world)
      const consumer = await queue.consume({ concurrency: 4 })
      await queue.send('alice', ['before'])
      await queue.until(1)
      opa.pause()
      await queue.send(
        'bob',
        Array.from({ length: 10 }, (_, n) => `during ${n}`),
      )
      const unanswered = (more: number) =>
        expect.poll(() => engine.unanswered, { timeout: 240_000, interval: 20 }).toBeGreaterThan(more)
      await unanswered(1)
      await opa.kill()
      await unanswered(engine.unanswered + 4)
      expect(queue.bodies()).toEqual(['before'])
      await expect(system.deadLetters(queue.name)).resolves.toEqual([])
      await opa.start()
      await queue.until(11)
      await consumer.close()
      await expect(system.deadLetters(queue.name)).resolves.toEqual([])
      expect(
        queue.handled.filter(({ body, user }) => (user === 'bob') !== body.startsWith('during')),
      ).toEqual([])
      await world.audited()
    })

    it('K-SCOPE a queue that was not told of gets no passport, and a handler sees none to hand on', async () => {
      const world = await createWorld()
      const [stranger, told] = [await queueOf(world), await queueOf(world)]
      await stranger.send('alice', ['without'], { told: false })
      const [without] = await system.take(stranger.name)
      expect(without).toMatchObject({ body: 'without' })
      expect(JSON.stringify(without)).not.toContain('kest.')
      await told.send('alice', ['with'])
      const seen: PlainMessage[] = []
      const consumer = await told.consume({}, async (message) => {
        seen.push(message)
        await told.see(message)
      })
      await told.until(1)
      await consumer.close()
      expect(JSON.stringify(seen)).not.toContain('kest.')
    })
  })
}

/** The baggage of a message, with another signature of the passport's last entry. */
function withOtherSignature({ headers }: PlainMessage): string {
  const baggage = String(headers['baggage'])
  const changed = baggage.replace(
    /\.([A-Za-z0-9_-])([A-Za-z0-9_-]+%22%5D)/,
    (_, one, rest) => `.${one === 'A' ? 'B' : 'A'}${rest}`,
  )
  expect(changed).not.toBe(baggage)
  return changed
}

/** OPA, as it is asked; what it did not answer is counted. */
class CountingEngine implements PolicyEngine {
  unanswered = 0
  readonly #opa: OPAPolicyEngine

  constructor(url: string) {
    this.#opa = new OPAPolicyEngine({ url, timeoutMs: 5_000 })
  }

  async evaluate(...question: Parameters<PolicyEngine['evaluate']>): Promise<Decision | boolean> {
    try {
      return await this.#opa.evaluate(...question)
    } catch (error) {
      this.unanswered++
      throw error
    }
  }

  close(): Promise<void> {
    return this.#opa.close()
  }
}

function entryOf(jws: string): KestEntry {
  return JSON.parse(Buffer.from(jws.split('.')[1] as string, 'base64url').toString())
}
