import { entryHash, getCurrentPassport, getCurrentUser, type KestEntry, LABEL, MemoryCache } from '@kest/core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
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
          options: { told?: boolean; binding?: 'message' } = {},
        ) {
          const producer = await system.producer(name, { kest: world.gateway, told: true, ...options })
          await world.as(user, () => producer.send(sent))
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

    it('K-MESSAGE what a consumer that crashed had not acknowledged is delivered again, as an operation of its own', async () => {
      const world = await createWorld()
      const queue = await queueOf(world)
      const begun = deferred()
      const crashed = await queue.consume(
        { binding: 'message', replayStore: new MemoryCache() },
        async (message) => {
          await queue.see(message)
          begun.resolve()
          await new Promise(() => {})
        },
      )
      await queue.send('alice', ['one'], { binding: 'message' })
      await begun.promise
      await crashed.crash()
      const replayStore = new MemoryCache()
      const consumer = await queue.consume({ binding: 'message', replayStore })
      await expect.poll(() => queue.handled.length, { timeout: 240_000, interval: 20 }).toBeGreaterThan(1)
      await consumer.close()
      const own = queue.handled.map(({ passport }) => entryOf(passport.at(-1) as string))
      expect(own[0]?.parent_ids).toEqual(own[1]?.parent_ids)
      expect(own[0]?.entry_id).not.toBe(own[1]?.entry_id)
      if (driver.redelivery === 'count')
        expect(own.slice(0, 2).map(({ labels }) => labels[LABEL.delivery])).toEqual(['1', '2'])
      // Where a broker only marks what it delivers again, an auditor is told of it.
      const known = driver.redelivery === 'mark' ? ['message-repeated'] : []
      await expect(world.audited(known)).resolves.toEqual({ traces: 1, entries: 1 + queue.handled.length })
    })

    it('K-MESSAGE puts away, with the code, what is refused for what it is, and handles what is behind it', async () => {
      const world = await createWorld()
      const queue = await queueOf(world)
      await queue.send('alice', ['good', 'swapped', 'replayed'], { binding: 'message' })
      const [good, swapped, replayed] = await sorted(system.take(queue.name), ['good', 'swapped', 'replayed'])
      await system.put(queue.name, { body: 'injected', headers: {} })
      await system.put(queue.name, { ...swapped, body: 'something else' })
      await system.put(queue.name, {
        body: 'malformed',
        headers: { baggage: 'kest.passport=a,kest.passport=b' },
      })
      await system.put(queue.name, replayed)
      await system.put(queue.name, good)
      const consumer = await queue.consume({
        binding: 'message',
        replayStore: new MemoryCache(),
        concurrency: 1,
      })
      await queue.until(2)
      await system.put(queue.name, replayed)
      const letters = async () =>
        new Set((await system.deadLetters(queue.name)).map(({ body, code }) => `${body}: ${code}`))
      await expect.poll(async () => (await letters()).size, { timeout: 240_000, interval: 50 }).toBe(4)
      await consumer.close()
      expect(new Set(queue.bodies())).toEqual(new Set(['good', 'replayed']))
      expect([...(await letters())].sort()).toEqual([
        'injected: ERR_KEST_LINEAGE_MISSING',
        'malformed: ERR_KEST_BAGGAGE',
        'replayed: ERR_KEST_BINDING',
        'something else: ERR_KEST_BINDING',
      ])
      await expect(world.audited()).resolves.toEqual({ traces: 1, entries: 1 + queue.handled.length })
    })

    it('K-MESSAGE while the engine is down nothing is handled and nothing put away; then all of it is handled', async () => {
      const world = await createWorld()
      const queue = await queueOf(world)
      const consumer = await queue.consume({ concurrency: 4 })
      await queue.send('alice', ['before'])
      await queue.until(1)
      world.down = true
      await queue.send(
        'bob',
        Array.from({ length: 10 }, (_, n) => `during ${n}`),
      )
      await expect.poll(() => world.askedInVain, { timeout: 240_000, interval: 20 }).toBeGreaterThan(12)
      expect(queue.bodies()).toEqual(['before'])
      await expect(system.deadLetters(queue.name)).resolves.toEqual([])
      world.down = false
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

async function sorted(
  taken: Promise<PlainMessage[]>,
  bodies: readonly string[],
): Promise<[PlainMessage, PlainMessage, PlainMessage]> {
  const messages = await taken
  return bodies.map((body) => messages.find((one) => one.body === body)) as never
}

function entryOf(jws: string): KestEntry {
  return JSON.parse(Buffer.from(jws.split('.')[1] as string, 'base64url').toString())
}

function deferred(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
