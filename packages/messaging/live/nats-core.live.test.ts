import { currentState, getCurrentUser } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { connect, headers, type Msg } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import { startNats } from '../../../tests/brokers/nats.js'
import { handleMessages, wrapCallback, wrapProducer } from '../src/nats/index.js'
import { createWorld, type World } from './support/world.js'

const ANY_ORDER = 'nats://default/orders.*'

/** A server, and what both ends have of it. */
async function connected(world: World) {
  const broker = await startNats()
  onTestFinished(() => broker.stop())
  const open = async () => {
    const connection = await connect({ servers: broker.url })
    onTestFinished(() => connection.close())
    return connection
  }
  const [sending, reading] = [await open(), await open()]
  const propagateTo = (subject: string) => subject.startsWith('orders.')
  const producer = wrapProducer(sending, { kest: world.gateway, headers, propagateTo, binding: 'message' })
  const refused: string[] = []
  const options = {
    kest: world.worker,
    operation: { policy: 'orders/handle' },
    binding: 'message',
    pattern: () => ANY_ORDER,
    redeliverAfterMs: 20,
    deadLetter: ({ code }: { readonly code: string }) => void refused.push(code),
  } as const
  return { sending, reading, producer, options, refused }
}

it('K-MESSAGE K-STATE 1,000 messages of 50 users, over NATS itself, are handled each for its own user, in their order', async () => {
  const world = await createWorld()
  const { sending, reading, producer, options, refused } = await connected(world)
  const handled: { readonly subject: string; readonly text: string; readonly user: string | null }[] = []
  const operations = new Set<string | undefined>()
  const see = async (message: Msg): Promise<void> => {
    const user = getCurrentUser()
    await new Promise((resolve) => setImmediate(resolve))
    expect(getCurrentUser()).toBe(user)
    operations.add(currentState()?.frame.lineage.tips[0]?.entry.operation)
    expect(JSON.stringify([...(message.headers ?? [])])).not.toContain('kest.')
    handled.push({ subject: message.subject, text: message.string(), user })
  }
  const subscription = reading.subscribe('orders.*', { queue: 'workers' })
  const ended = handleMessages(subscription, see, { ...options, concurrency: 20 })
  await reading.flush()
  const users = Array.from({ length: 50 }, (_, n) => `user-${n}`)
  const bodies = (user: string) => Array.from({ length: 20 }, (_, n) => `${user} ${n}`)
  await Promise.all(
    users.map((user) =>
      world.as(user, async () => {
        await Promise.all(bodies(user).map((body) => producer.publish(`orders.${user}`, body)))
      }),
    ),
  )
  // Whoever has the server's address.
  sending.publish('orders.7', 'injected')
  await expect.poll(() => handled.length + refused.length).toBe(1_001)
  subscription.unsubscribe()
  await ended
  expect(refused).toEqual(['ERR_KEST_LINEAGE_MISSING'])
  for (const user of users) {
    const own = handled.filter(({ subject }) => subject === `orders.${user}`)
    expect(own.map((one) => one.user)).toEqual(Array(20).fill(user))
    expect(new Set(own.map(({ text }) => text))).toEqual(new Set(bodies(user)))
  }
  // Subjects are the senders': what they have in common is the name.
  expect([...operations]).toEqual([`receive ${ANY_ORDER}`])
  await expect(world.audited()).resolves.toEqual({ traces: 50, entries: 1_050 })
})

it('K-MESSAGE what nothing can be said about is judged again, in its order, and is not put away', async () => {
  let down = false
  let asked = 0
  const engine = new MockPolicyEngine(() => {
    asked++
    if (down) throw new Error('connection refused')
    return true
  })
  const world = await createWorld(engine)
  const { reading, producer, options, refused } = await connected(world)
  const handled: string[] = []
  const callback = wrapCallback((message: Msg) => void handled.push(message.string()), options)
  reading.subscribe('orders.new', { callback })
  await reading.flush()
  const sent = ['before', ...Array.from({ length: 10 }, (_, n) => `during ${n}`)]
  await world.as('alice', () => producer.publish('orders.new', 'before'))
  await expect.poll(() => handled).toEqual(['before'])
  down = true
  await world.as('alice', async () => {
    for (const body of sent.slice(1)) await producer.publish('orders.new', body)
  })
  await expect.poll(() => asked).toBeGreaterThan(30)
  expect(handled).toEqual(['before'])
  down = false
  await expect.poll(() => handled).toEqual(sent)
  expect(refused).toEqual([])
  await expect(world.audited()).resolves.toMatchObject({ traces: 2 })
})

it('K-MESSAGE what is asked for is answered within the operation of its asker', async () => {
  const world = await createWorld()
  const { reading, producer, options } = await connected(world)
  const callback = wrapCallback((message: Msg) => void message.respond(`for ${getCurrentUser()}`), options)
  reading.subscribe('orders.ask', { callback })
  await reading.flush()
  const users = Array.from({ length: 20 }, (_, n) => `user-${n}`)
  const answers = await Promise.all(
    users.map((user) => world.as(user, () => producer.request('orders.ask', user, { timeout: 60_000 }))),
  )
  expect(answers.map((answer) => answer.string())).toEqual(users.map((user) => `for ${user}`))
  await expect(world.audited()).resolves.toEqual({ traces: 20, entries: 40 })
})
