import { describe, expect, it } from 'vitest'
import { LABEL } from '../entry/entry.js'
import { MemoryCache } from '../propagation/memory-cache.js'
import { inbound, MessageWorld, ORDERS, PAYMENTS, type SentMessage } from '../testing/message-world.js'
import type { Delivery } from './delivery.js'

async function sentBy(world: MessageWorld, users: readonly string[]): Promise<SentMessage[]> {
  const sent: SentMessage[] = []
  for (const user of users) sent.push(await world.send(user, { state: await world.request({ user }) }))
  return sent
}

const bodies = (deliveries: readonly Delivery[]) => deliveries.map(({ message }) => message.body)

describe('a batch of messages', () => {
  it('K-MESSAGE admits each message by itself, with a decision and an entry of its own', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['alice', 'bob'])
    const batch = await world.reader().receiveBatch(sent.map((one) => inbound(one)))
    expect(batch.deliveries.map(({ entry }) => entry.identity?.user)).toEqual(['alice', 'bob'])
    expect(batch.refused).toEqual([])
    expect(world.engine.requests.slice(-2).map(({ context }) => context.subject.user)).toEqual([
      'alice',
      'bob',
    ])
  })

  it('K-MESSAGE handles them by one operation that follows all of them, and states nobody', async () => {
    const world = new MessageWorld()
    const [alice, bob] = await sentBy(world, ['alice', 'bob'])
    const low = await world.send('3', {
      state: await world.request({ origin: 'internet', addedTaints: ['pii'] }),
    })
    const batch = await world
      .reader()
      .receiveBatch([alice, bob, low].map((one) => inbound(one as SentMessage)))
    const [inner] = await batch.run(() => world.orders.begin({ operation: 'inner', policy: 'test' }))
    const entries = inner?.state.frame.lineage.entries() ?? []
    const over = entries.find(({ hash }) => inner?.entry.entry.parent_ids.includes(hash))
    expect(over?.entry.operation).toBe('receive batch kafka://main/orders')
    expect(over?.entry.parent_ids).toEqual(batch.deliveries.map(({ entry }) => entry.hash))
    expect(over?.entry.labels).not.toHaveProperty(LABEL.identity)
    expect(over).toMatchObject({ trustScore: 10, taints: ['pii'], identity: null })
    expect(entries).toHaveLength(8)
  })

  it('K-MESSAGE inherits who acts where all agree', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['alice', 'alice'])
    const batch = await world.reader().receiveBatch(sent.map((one) => inbound(one)))
    await batch.run(() => undefined)
    const asked = world.engine.requests.at(-1)
    expect(asked?.context.subject.user).toBe('alice')
  })

  it('K-TRACE is of several traces, which who is called must accept', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['alice', 'alice'])
    const reader = world.reader({ propagateTo: [PAYMENTS] })
    const batch = await reader.receiveBatch(sent.map((one) => inbound(one)))
    const [headers] = await batch.run(() => reader.send({ headers: {}, body: 'x', to: PAYMENTS }))
    const message = { headers: headers as Record<string, string>, body: 'x', from: PAYMENTS }
    await expect(world.reader().receive(message)).rejects.toMatchObject({ code: 'ERR_KEST_TRACE' })
    await expect(world.reader({ traces: 'any' }).receive(message)).resolves.toBeDefined()
  })

  it('K-MESSAGE leaves out who is refused, in order', async () => {
    const world = new MessageWorld()
    const [alice, bob] = (await sentBy(world, ['alice', 'bob'])) as [SentMessage, SentMessage]
    const bare = { headers: {}, body: 'x', from: ORDERS }
    const batch = await world.reader().receiveBatch([bare, inbound(alice), bare, inbound(bob)])
    expect(bodies(batch.deliveries)).toEqual(['alice', 'bob'])
    expect(batch.refused).toMatchObject([
      { message: bare, disposition: 'dead-letter', error: { code: 'ERR_KEST_LINEAGE_MISSING' } },
      { message: bare, disposition: 'dead-letter' },
    ])
  })

  it('K-MESSAGE judges nothing in vain behind one that is to be delivered again', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(
      world,
      Array.from({ length: 40 }, (_, n) => `user-${n}`),
    )
    let asked = 0
    const engine = {
      evaluate: () => {
        asked++
        if (asked === 3) throw new Error('down')
        return true
      },
    }
    const reader = world.reader({}, world.kestOf(world.ordersIdentity, { engine }))
    const { deliveries, refused } = await reader.receiveBatch(sent.map((one) => inbound(one)))
    expect(asked).toBe(16)
    expect(deliveries).toHaveLength(15)
    expect(refused).toHaveLength(25)
    expect(new Set(refused.map(({ disposition }) => disposition))).toEqual(new Set(['redeliver']))
    expect(refused[0]?.message.body).toBe('user-2')
    expect(refused.slice(1).map(({ message }) => message.body)).toEqual(
      sent.slice(16).map(({ body }) => body),
    )
  })

  it('K-MESSAGE handles nothing behind it where their order counts', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['0', '1', '2', '3'])
    let asked = 0
    const engine = { evaluate: () => ++asked !== 2 || Promise.reject(new Error('down')) }
    const reader = world.reader({}, world.kestOf(world.ordersIdentity, { engine }))
    const read = sent.map((one) => inbound(one))
    read.push({ headers: {}, body: 'x', from: ORDERS })
    const { deliveries, refused } = await reader.receiveBatch(read, { ordered: true })
    expect(bodies(deliveries)).toEqual(['0'])
    expect(refused.map(({ message, disposition }) => [message.body, disposition])).toEqual([
      ['1', 'redeliver'],
      ['2', 'redeliver'],
      ['3', 'redeliver'],
      ['x', 'redeliver'],
    ])
  })

  it('K-LIMIT splits a batch that is too large for one operation, in order', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(
      world,
      Array.from({ length: 60 }, (_, n) => String(n)),
    )
    const reader = world.reader()
    const batch = await reader.receiveBatch(sent.map((one) => inbound(one)))
    const parts = await batch.run(bodies)
    // Two entries each, and 64 in a header, of which a quarter is for what follows.
    expect(parts.map(({ length }) => length)).toEqual([24, 24, 12])
    expect(parts.flat()).toEqual(sent.map(({ body }) => body))
  })

  it('K-LIMIT splits by all that there can be where passports travel by claim checks', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const sent: SentMessage[] = []
    for (let n = 0; n < 200; n++) sent.push(await world.send(String(n), { state }))
    const cache = new MemoryCache({ clock: world.clock })
    const reader = world.reader({}, world.kestOf(world.ordersIdentity, { cache }))
    const batch = await reader.receiveBatch(sent.map((one) => inbound(one)))
    // They have one ancestor, which counts once.
    expect((await batch.run(bodies)).map(({ length }) => length)).toEqual([191, 9])
  })

  it('K-MESSAGE handles apart what was read in different places', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['alice', 'bob'])
    const [one, other] = sent as [SentMessage, SentMessage]
    const batch = await world.reader().receiveBatch([inbound(one), inbound(other, { from: PAYMENTS })])
    expect((await batch.run(bodies)).map(({ length }) => length)).toEqual([1, 1])
  })

  it('is denied as a whole where its policy denies, after its messages were let in', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['alice', 'bob'])
    const engine = {
      evaluate: ({ policies }: { policies: readonly string[] }) => !policies.includes('merge'),
    }
    const reader = world.reader(
      { batch: { policy: 'merge' } },
      world.kestOf(world.ordersIdentity, { engine }),
    )
    const batch = await reader.receiveBatch(sent.map((one) => inbound(one)))
    let ran = false
    await expect(
      batch.run(() => {
        ran = true
      }),
    ).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
    expect(ran).toBe(false)
    expect(batch.deliveries.every(({ state }) => state.lifetime.ended)).toBe(true)
  })

  it('stops at the first part whose handler fails', async () => {
    const world = new MessageWorld()
    const sent = await sentBy(world, ['alice', 'bob'])
    const [one, other] = sent as [SentMessage, SentMessage]
    const batch = await world.reader().receiveBatch([inbound(one), inbound(other, { from: PAYMENTS })])
    const failure = new Error('the handler failed')
    let ran = 0
    await expect(
      batch.run(() => {
        ran++
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(ran).toBe(1)
  })

  it('K-STATE ends with its handler', async () => {
    const world = new MessageWorld()
    const batch = await world
      .reader()
      .receiveBatch((await sentBy(world, ['alice'])).map((one) => inbound(one)))
    const [operation] = await batch.run(() => world.orders.begin({ operation: 'inner', policy: 'test' }))
    expect(operation?.state.lifetime.ended).toBe(false)
    expect(batch.deliveries[0]?.state.lifetime.ended).toBe(true)
  })

  it('is nothing when nothing was read', async () => {
    const batch = await new MessageWorld().reader().receiveBatch([])
    expect([batch.deliveries, batch.refused, await batch.run(() => 1)]).toEqual([[], [], []])
  })
})
