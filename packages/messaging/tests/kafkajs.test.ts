import { currentState, type KestOptions } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { deadLetterTopic, type RefusedRecord, wrapConsumer, wrapProducer } from '../src/kafkajs/index.js'
import type { EachBatchPayload, KafkajsMessage, OutgoingMessage, RunConfig } from '../src/kafkajs/types.js'
import type { DeadLetter } from '../src/shared/options.js'
import { BOUND, inRequest, kestOf, OPERATION, slowGateway } from './support.js'

interface Sent {
  readonly topic: string
  readonly messages: readonly (OutgoingMessage & { readonly key?: unknown })[]
}

/** As far as the wrapper sees one; the real one is in the live suite. */
class Producer {
  readonly sent: Sent[] = []
  /** Of the class alone. */
  readonly #connected = true

  async send(record: Sent): Promise<string> {
    this.sent.push(record)
    return this.#connected ? 'sent' : 'lost'
  }

  async sendBatch({ topicMessages = [] }: { topicMessages?: readonly Sent[] }): Promise<void> {
    this.sent.push(...topicMessages)
  }

  async transaction(): Promise<Pick<Producer, 'send' | 'sendBatch'> & { commit(): string }> {
    return {
      send: (record) => this.send(record),
      sendBatch: (batch) => this.sendBatch(batch),
      commit: () => 'committed',
    }
  }
}

class Consumer {
  config: RunConfig = {}

  async run(config: RunConfig = {}): Promise<void> {
    this.config = config
  }

  /** As kafkajs calls it: in whatever context. */
  each(message: KafkajsMessage, topic = 'orders'): Promise<void> {
    return this.config.eachMessage?.({
      topic,
      partition: 0,
      message,
      heartbeat: () => 'beaten',
    } as never) as Promise<void>
  }
}

const gateway = kestOf('gateway')

async function recordsOf(bodies: readonly string[], options = {}): Promise<KafkajsMessage[]> {
  const records: KafkajsMessage[] = []
  for (const [offset, body] of bodies.entries()) {
    const producer = new Producer()
    const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'], ...options })
    const message = { value: Buffer.from(body), headers: { 'x-id': Buffer.from(body) } }
    await inRequest(gateway, () => wrapped.send({ topic: 'orders', messages: [message] }), body)
    const [sent] = producer.sent.flatMap(({ messages }) => messages)
    const headers = sent?.headers ?? {}
    // They come as bytes.
    const bytes = Object.entries(headers).map(([name, value]) => [name, Buffer.from(value as string)])
    records.push({
      key: null,
      value: Buffer.from(body),
      offset: String(offset),
      headers: Object.fromEntries(bytes),
    })
  }
  return records
}

function reading(
  config: { eachMessage?: unknown; eachBatch?: unknown; eachBatchAutoResolve?: boolean },
  { kest: more = {}, ...options }: { kest?: Partial<KestOptions>; [option: string]: unknown } = {},
) {
  const consumer = new Consumer()
  const refused: DeadLetter<RefusedRecord>[] = []
  const deadLetter = (one: DeadLetter<RefusedRecord>) => void refused.push(one)
  const wrapped = wrapConsumer(consumer, {
    kest: kestOf('orders', more),
    operation: OPERATION,
    deadLetter,
    ...options,
  })
  return { consumer, refused, running: wrapped.run(config as RunConfig) }
}

describe('a producer of kafkajs', () => {
  it('K-MESSAGE sends the passport to the topics that are told of, and to no other', async () => {
    const producer = new Producer()
    const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'] })
    const given = { topic: 'orders', messages: [{ value: 'x', headers: { Baggage: 'kest.user=mallory' } }] }
    const answer = await inRequest(gateway, () => wrapped.send(given))
    await inRequest(gateway, () => wrapped.send({ topic: 'others', messages: given.messages }))
    expect(answer).toBe('sent')
    expect(producer.sent[0]?.messages[0]?.headers?.['baggage']).toContain('kest.user=alice')
    expect(JSON.stringify(producer.sent)).not.toContain('mallory')
    expect(producer.sent[1]?.messages[0]?.headers).toEqual({})
    // What was given is not changed.
    expect(given.messages[0]?.headers).toEqual({ Baggage: 'kest.user=mallory' })
  })

  it('K-MESSAGE signs for each message of a batch, and of a transaction', async () => {
    const producer = new Producer()
    const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'], ...BOUND })
    const messages = [{ value: '1' }, { value: '2' }]
    await inRequest(gateway, async () => {
      await wrapped.sendBatch({ topicMessages: [{ topic: 'orders', messages }] })
      const transaction = await wrapped.transaction()
      await transaction.send({ topic: 'orders', messages })
      await transaction.sendBatch({ topicMessages: [{ topic: 'orders', messages }] })
      expect(transaction.commit()).toBe('committed')
    })
    const tokens = producer.sent.flatMap((record) =>
      record.messages.map(({ headers }) => /kest\.message=([^,]+)/.exec(String(headers?.['baggage']))?.[1]),
    )
    expect(tokens).not.toContain(undefined)
    expect(new Set(tokens).size).toBe(6)
  })

  it('K-MESSAGE keeps the order of calls that nobody has waited for, however long it takes to sign each', async () => {
    const producer = new Producer()
    const slow = slowGateway()
    const wrapped = wrapProducer(producer, { kest: slow, propagateTo: ['orders'], ...BOUND })
    await inRequest(slow, async () => {
      // Each in scope is signed, and the others are not.
      const topics = ['orders', 'others', 'orders', 'others']
      await Promise.all(topics.map((topic) => wrapped.send({ topic, messages: [{ value: topic }] })))
      await expect(wrapped.send({ topic: 'orders', messages: [{ value: 7 }] } as never)).rejects.toThrow()
      await wrapped.send({ topic: 'after', messages: [] })
    })
    expect(producer.sent.map(({ topic }) => topic)).toEqual(['orders', 'others', 'orders', 'others', 'after'])
  })

  it.each([
    ['without a scope', {}],
    ['with a scope that is none', { propagateTo: 'orders' }],
    ['with an option that there is not', { propagateTo: [], misspelt: 1 }],
    ['with the option of a consumer', { propagateTo: [], operation: OPERATION }],
    ['with a broker that has two spellings', { propagateTo: [], broker: 'a/b' }],
    ['with an instance that is none', { propagateTo: [], kest: {} }],
  ])('is refused %s', (_, options) => {
    expect(() => wrapProducer(new Producer(), { kest: gateway, ...options } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
    )
  })
})

describe('eachMessage', () => {
  it('K-MESSAGE handles each in an operation of its own frame, whoever’s context it is called in', async () => {
    const [one, other] = (await recordsOf(['alice', 'bob'])) as [KafkajsMessage, KafkajsMessage]
    const seen: unknown[] = []
    const { consumer } = reading({
      eachMessage: async ({ message, heartbeat }: { message: KafkajsMessage; heartbeat(): string }) => {
        const state = currentState()
        seen.push([
          state?.identity?.context.user,
          state?.frame.lineage.length,
          message.value?.toString(),
          heartbeat(),
        ])
      },
    })
    await inRequest(
      gateway,
      async () => {
        await Promise.all([consumer.each(one), consumer.each(other)])
      },
      'carol',
    )
    expect(seen.sort()).toEqual([
      ['alice', 2, 'alice', 'beaten'],
      ['bob', 2, 'bob', 'beaten'],
    ])
  })

  it('K-SCOPE gives a handler headers without lineage, which it may hand on', async () => {
    const [record] = (await recordsOf(['alice'])) as [KafkajsMessage]
    let seen: unknown
    const { consumer } = reading({
      eachMessage: async ({ message }: { message: KafkajsMessage }) => {
        seen = message.headers
      },
    })
    await consumer.each(record)
    expect(seen).toEqual({ 'x-id': Buffer.from('alice') })
    expect(record.headers).toHaveProperty('baggage')
  })

  it('K-MESSAGE puts away what is refused for what it is, as it came and with the code, and acknowledges it', async () => {
    const producer = new Producer()
    const [record] = (await recordsOf(['alice'], BOUND)) as [KafkajsMessage]
    const poison = { ...record, value: Buffer.from('swapped'), key: Buffer.from('k') }
    let ran = 0
    const { consumer } = reading(
      { eachMessage: async () => void ran++ },
      { ...BOUND, deadLetter: deadLetterTopic(producer, 'dead') },
    )
    await consumer.each(poison)
    expect(ran).toBe(0)
    expect(producer.sent[0]).toMatchObject({
      topic: 'dead',
      messages: [{ key: poison.key, value: poison.value }],
    })
    expect(producer.sent[0]?.messages[0]?.headers).toEqual({
      ...poison.headers,
      'kest-error': 'ERR_KEST_BINDING',
      'kest-source': 'kafka://default/orders',
    })
    await consumer.each(record)
    expect(ran).toBe(1)
  })

  it('K-MESSAGE acknowledges nothing that the dead letters did not take', async () => {
    const failure = new Error('no such topic')
    const { consumer } = reading(
      { eachMessage: async () => undefined },
      { deadLetter: () => Promise.reject(failure) },
    )
    await expect(consumer.each({ key: null, value: null, offset: '1' })).rejects.toBe(failure)
  })

  it('K-MESSAGE leaves what could not be judged, and what its handler did not do, to be read again', async () => {
    const [record] = (await recordsOf(['alice'])) as [KafkajsMessage]
    const engine = { evaluate: () => Promise.reject(new Error('down')) }
    const down = reading({ eachMessage: async () => undefined }, { kest: { engine } })
    await expect(down.consumer.each(record)).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(down.refused).toEqual([])
    const failure = new Error('the handler failed')
    const failing = reading({ eachMessage: () => Promise.reject(failure) })
    await expect(failing.consumer.each(record)).rejects.toBe(failure)
    expect(failing.refused).toEqual([])
  })

  it.each([
    ['no place for dead letters', { deadLetter: undefined }],
    ['no operation', { operation: undefined }],
    ['an unknown option', { misspelt: 1 }],
  ])('is refused with %s', (_, options) => {
    expect(() => reading({}, options)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
  })
})

describe('eachBatch', () => {
  function payloadOf(messages: KafkajsMessage[]) {
    const resolved: string[] = []
    const batch = { topic: 'orders', partition: 0, messages, isEmpty: () => false, lastOffset: () => '9' }
    const payload: EachBatchPayload = { batch, resolveOffset: (offset) => void resolved.push(offset) }
    return { payload, resolved }
  }

  const poison = (offset: string): KafkajsMessage => ({ key: null, value: Buffer.from('x'), offset })
  const bodies = ({ batch }: EachBatchPayload) => batch.messages.map(({ value }) => String(value))

  it('K-MESSAGE handles what was let in at once, and puts away the rest', async () => {
    const records = await recordsOf(['alice', 'bob'])
    const { payload, resolved } = payloadOf([poison('7'), ...records, poison('8')])
    const seen: unknown[] = []
    const { consumer, refused } = reading({
      eachBatch: async (given: EachBatchPayload & { deliveries: unknown[] }) => {
        const { lineage } = currentState()?.frame ?? {}
        seen.push(bodies(given), given.deliveries.length, lineage?.tips[0]?.entry.parent_ids.length)
      },
    })
    await consumer.config.eachBatch?.(payload as never)
    expect(seen).toEqual([['alice', 'bob'], 2, 2])
    expect(refused.map(({ message, code }) => [message.message.offset, code])).toEqual([
      ['7', 'ERR_KEST_LINEAGE_MISSING'],
      ['8', 'ERR_KEST_LINEAGE_MISSING'],
    ])
    expect(resolved.at(-1)).toBe('8')
  })

  it('K-MESSAGE resolves nothing behind what the handler has left open', async () => {
    const records = await recordsOf(['alice', 'bob'])
    const { payload, resolved } = payloadOf([...records, poison('8')])
    const { consumer } = reading({
      eachBatchAutoResolve: false,
      eachBatch: async ({ resolveOffset }: EachBatchPayload) => resolveOffset('0'),
    })
    await consumer.config.eachBatch?.(payload as never)
    expect(resolved).toEqual(['0'])
  })

  it('K-MESSAGE ends at what could not be judged, and resolves what is before it', async () => {
    const records = await recordsOf(['alice', 'bob', 'carol'])
    const { payload, resolved } = payloadOf(records)
    let asked = 0
    const engine = { evaluate: () => ++asked !== 2 || Promise.reject(new Error('down')) }
    const seen: string[][] = []
    const { consumer, refused } = reading(
      { eachBatch: async (given: EachBatchPayload) => void seen.push(bodies(given)) },
      { kest: { engine } },
    )
    await expect(consumer.config.eachBatch?.(payload as never)).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE',
    })
    expect([seen, resolved, refused]).toEqual([[['alice']], ['0'], []])
  })

  it('K-MESSAGE puts away a part that its policy denies', async () => {
    const records = await recordsOf(['alice', 'bob'])
    const { payload, resolved } = payloadOf(records)
    const engine = {
      evaluate: ({ policies }: { policies: readonly string[] }) => !policies.includes('merge'),
    }
    const { consumer, refused } = reading(
      { eachBatch: async () => expect.unreachable() },
      { kest: { engine }, batch: { policy: 'merge' } },
    )
    await consumer.config.eachBatch?.(payload as never)
    expect(refused.map(({ code }) => code)).toEqual(['ERR_KEST_DENIED', 'ERR_KEST_DENIED'])
    expect(resolved).toEqual(['1'])
  })

  it('K-LIMIT is called once for each part, in order', async () => {
    const records = await recordsOf(Array.from({ length: 30 }, (_, n) => `user-${n}`))
    const { payload } = payloadOf(records)
    const seen: string[][] = []
    const { consumer } = reading({
      eachBatch: async (given: EachBatchPayload) => void seen.push(bodies(given)),
    })
    await consumer.config.eachBatch?.(payload as never)
    expect(seen.map(({ length }) => length)).toEqual([24, 6])
    expect(seen.flat()).toEqual(records.map(({ value }) => String(value)))
  })
})
