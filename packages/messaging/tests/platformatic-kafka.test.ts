import { currentState, type KestOptions } from '@kest/core'
import { describe, expect, it } from 'vitest'
import {
  type Consumption,
  consumeMessages,
  deadLetterTopic,
  type KafkaConsumerOptions,
  wrapProducer,
} from '../src/platformatic-kafka/index.js'
import type { KafkaMessage, KafkaStream, OutgoingMessage } from '../src/platformatic-kafka/types.js'
import type { DeadLetter } from '../src/shared/options.js'
import { BOUND, inRequest, kestOf, OPERATION, slowGateway } from './support.js'

class Producer {
  readonly sent: OutgoingMessage[] = []
  /** Of the class alone. */
  readonly #connected = true

  send(options: { messages: OutgoingMessage[] }): Promise<string>
  send(options: { messages: OutgoingMessage[] }, callback: (error: unknown, result?: string) => void): void
  send(options: { messages: OutgoingMessage[] }, callback?: unknown): Promise<string> | undefined {
    this.sent.push(...options.messages)
    return callback === undefined ? Promise.resolve(this.#connected ? 'sent' : 'lost') : undefined
  }

  async beginTransaction(): Promise<{ send: Producer['send']; commit(): string }> {
    return { send: this.send.bind(this) as Producer['send'], commit: () => 'committed' }
  }

  asStream(): unknown {
    return {}
  }
}

/** As far as it is looked at; the real one is in the live suite. */
class Consumer {
  readonly committed: string[] = []
  asked: Record<string, unknown> = {}
  assignments: { topic: string; partitions: number[] }[] | null = null
  closed = false
  readonly #messages: readonly Partial<KafkaMessage>[]
  #end: () => void = () => undefined

  constructor(messages: readonly Partial<KafkaMessage>[]) {
    this.#messages = messages
  }

  async consume(options: Record<string, unknown>): Promise<KafkaStream> {
    this.asked = options
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve
    })
    const all = this.#messages.map((message, n) => this.#recordOf(message, n))
    return {
      close: async () => {
        this.closed = true
        this.#end()
      },
      async *[Symbol.asyncIterator]() {
        yield* all
        await ended
      },
    }
  }

  #recordOf(message: Partial<KafkaMessage>, n: number): KafkaMessage {
    const offset = BigInt(n)
    const record = {
      topic: 'orders',
      partition: 0,
      offset,
      key: undefined,
      value: Buffer.alloc(0),
      headers: new Map(),
    }
    const commit = () => void this.committed.push(`${message.partition ?? 0}:${offset}`)
    return { ...record, commit, ...message }
  }
}

const gateway = kestOf('gateway')

async function recordsOf(bodies: readonly string[], options = {}): Promise<Partial<KafkaMessage>[]> {
  const producer = new Producer()
  const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'], ...options })
  for (const body of bodies)
    await inRequest(
      gateway,
      () =>
        wrapped.send({
          messages: [{ topic: 'orders', value: Buffer.from(body), headers: { 'x-id': Buffer.from('7') } }],
        }),
      body,
    )
  return producer.sent.map(({ value, headers }) => ({ value, headers: headers as Map<unknown, unknown> }))
}

async function consuming(
  messages: readonly Partial<KafkaMessage>[],
  handler: (message: KafkaMessage) => unknown,
  {
    kest = {},
    ...options
  }: { kest?: Partial<KestOptions> } & Partial<Omit<KafkaConsumerOptions, 'kest'>> = {},
): Promise<{ consumer: Consumer; consumption: Consumption; refused: DeadLetter<KafkaMessage>[] }> {
  const consumer = new Consumer(messages)
  const refused: DeadLetter<KafkaMessage>[] = []
  const consumption = await consumeMessages(
    consumer,
    { topics: ['orders'] },
    {
      kest: kestOf('orders', kest),
      operation: OPERATION,
      deadLetter: (one) => void refused.push(one),
      retryDelayMs: 1,
      ...options,
    },
    handler,
  )
  return { consumer, consumption, refused }
}

describe('a producer of @platformatic/kafka', () => {
  it('K-MESSAGE keeps the order of calls that nobody has waited for, however long it takes to sign each', async () => {
    const producer = new Producer()
    const slow = slowGateway()
    const wrapped = wrapProducer(producer, { kest: slow, propagateTo: ['orders'], ...BOUND })
    // Each in scope is signed, and the others are not.
    const topics = ['orders', 'others', 'orders', 'others']
    await inRequest(slow, () =>
      Promise.all(topics.map((topic) => wrapped.send({ messages: [{ topic, value: Buffer.from(topic) }] }))),
    )
    expect(producer.sent.map(({ topic }) => topic)).toEqual(topics)
  })

  it('K-MESSAGE sends the passport to the topics that are told of, in bytes, and to no other', async () => {
    const producer = new Producer()
    const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'] })
    const headers = new Map([[Buffer.from('baggage'), Buffer.from('kest.user=mallory')]])
    const messages = [
      { topic: 'orders', value: Buffer.from('x'), headers },
      { topic: 'others', headers },
    ]
    expect(await inRequest(gateway, () => wrapped.send({ messages }))).toBe('sent')
    const [sent, other] = producer.sent.map(({ headers: written }) => [...(written as Map<Buffer, Buffer>)])
    expect(String(sent?.[0]?.[0])).toBe('baggage')
    expect(String(sent?.[0]?.[1])).toContain('kest.user=alice')
    expect(String(sent)).not.toContain('mallory')
    expect(other).toEqual([])
    expect(headers.size).toBe(1)
  })

  it('K-MESSAGE writes headers as text where its serializers want that', async () => {
    const producer = new Producer()
    const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'], headers: 'text' })
    await inRequest(gateway, () => wrapped.send({ messages: [{ topic: 'orders', value: 'x' }] }))
    const [sent] = producer.sent.map(({ headers }) => [...(headers as Map<unknown, unknown>).keys()])
    expect(sent).toEqual(['baggage'])
  })

  it('K-MESSAGE sends within transactions, answers by callback, and refuses streams', async () => {
    const producer = new Producer()
    const wrapped = wrapProducer(producer, { kest: gateway, propagateTo: ['orders'] })
    const messages = [{ topic: 'orders', value: 'x' }]
    await inRequest(gateway, async () => {
      const transaction = await wrapped.beginTransaction()
      await transaction.send({ messages })
      expect(transaction.commit()).toBe('committed')
      const answers = await new Promise<unknown[]>((resolve) =>
        wrapped.send({ messages }, (...all) => resolve(all)),
      )
      expect(answers).toEqual([null, 'sent'])
      const failed = await new Promise((resolve) =>
        wrapped.send({ messages: [{ topic: 'orders', value: {} }] }, resolve),
      )
      expect(failed).toMatchObject({ code: 'ERR_KEST_CONFIG' })
    })
    expect(producer.sent.every(({ headers }) => (headers as Map<unknown, unknown>).size === 1)).toBe(true)
    expect(() => wrapped.asStream()).toThrow('use send')
  })

  it.each([
    ['without a scope', {}],
    ['with headers of another kind', { propagateTo: [], headers: 'json' }],
    ['with an option that there is not', { propagateTo: [], misspelt: 1 }],
  ])('is refused %s', (_, options) => {
    expect(() => wrapProducer(new Producer(), { kest: gateway, ...options } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
    )
  })
})

describe('consumeMessages', () => {
  it('K-MESSAGE handles each in an operation of its own frame, and commits it then', async () => {
    const records = await recordsOf(['alice', 'bob'])
    const seen: unknown[] = []
    const { consumer, consumption } = await inRequest(gateway, () =>
      consuming(records, ({ value, headers, topic }) => {
        const { identity, frame } = currentState() ?? {}
        seen.push([topic, identity?.context.user, frame?.lineage.length, String(value), headers.size])
        expect(consumer.committed).toHaveLength(seen.length - 1)
      }),
    )
    await expect.poll(() => consumer.committed).toEqual(['0:0', '0:1'])
    await consumption.close()
    expect(seen).toEqual([
      ['orders', 'alice', 2, 'alice', 1],
      ['orders', 'bob', 2, 'bob', 1],
    ])
    expect(consumer.asked).toEqual({ topics: ['orders'], autocommit: false })
    expect(consumer.closed).toBe(true)
  })

  it('K-ONE sees repeated headers', async () => {
    const [one, other] = (await recordsOf(['alice', 'bob'])) as [KafkaMessage, KafkaMessage]
    const headerEntries = [...one.headers, ...other.headers]
    const { consumer, consumption, refused } = await consuming([{ ...one, headerEntries }], () =>
      expect.unreachable(),
    )
    await expect.poll(() => consumer.committed).toEqual(['0:0'])
    await consumption.close()
    expect(refused.map(({ code }) => code)).toEqual(['ERR_KEST_BAGGAGE'])
  })

  it('K-MESSAGE puts away what is refused for what it is, and commits it', async () => {
    const producer = new Producer()
    const [record] = await recordsOf(['alice'], BOUND)
    const { consumer, consumption } = await consuming(
      [{ ...record, value: Buffer.from('swapped') }],
      () => expect.unreachable(),
      { ...BOUND, deadLetter: deadLetterTopic(producer, 'dead') },
    )
    await expect.poll(() => consumer.committed).toEqual(['0:0'])
    await consumption.close()
    const [letter] = producer.sent
    expect(letter).toMatchObject({ topic: 'dead', value: Buffer.from('swapped') })
    const { headers: written = new Map() } = letter ?? {}
    const headers = [...(written as Map<Buffer, Buffer>)].map(([name, value]) => [
      String(name),
      String(value),
    ])
    expect(Object.fromEntries(headers)).toMatchObject({
      'kest-error': 'ERR_KEST_BINDING',
      'kest-source': 'kafka://default/orders',
      baggage: expect.stringContaining('kest.message='),
    })
  })

  it('K-MESSAGE asks again about what could not be judged, with those behind it in their order', async () => {
    const records = await recordsOf(['alice', 'bob'])
    let asked = 0
    const engine = { evaluate: () => ++asked > 3 || Promise.reject(new Error('down')) }
    const seen: string[] = []
    const { consumer, consumption, refused } = await consuming(
      records,
      ({ value }) => seen.push(String(value)),
      {
        kest: { engine },
      },
    )
    await expect.poll(() => consumer.committed).toEqual(['0:0', '0:1'])
    await consumption.close()
    expect([seen, refused, asked]).toEqual([['alice', 'bob'], [], 5])
  })

  it('K-MESSAGE is closed while it waits, and commits nothing of that', async () => {
    const records = await recordsOf(['alice'])
    let asked = 0
    const engine = {
      evaluate: () => {
        asked++
        return Promise.reject(new Error('down'))
      },
    }
    const { consumer, consumption } = await consuming(records, () => expect.unreachable(), {
      kest: { engine },
      retryDelayMs: 1_000_000,
    })
    await expect.poll(() => asked).toBe(1)
    await consumption.close()
    await consumption.done
    expect(consumer.committed).toEqual([])
  })

  it.each([
    ['its handler', () => Promise.reject(new Error('failed')), {}, [{}]],
    [
      'who takes dead letters',
      () => undefined,
      { deadLetter: () => Promise.reject(new Error('failed')) },
      [{ headers: new Map() }],
    ],
  ])(
    'K-MESSAGE ends where %s fails, and commits nothing from there on',
    async (_, handler, options, change) => {
      const records = (await recordsOf(['alice', 'bob'])).map((record, n) => ({ ...record, ...change[n] }))
      const { consumer, consumption } = await consuming(records, handler, options)
      await expect(consumption.done).rejects.toThrow('failed')
      expect(consumer.committed).toEqual([])
      expect(consumer.closed).toBe(true)
      await consumption.close()
    },
  )

  it('handles nothing of a partition that was lost', async () => {
    const records = await recordsOf(['alice', 'bob'])
    const [lost, kept] = records as [KafkaMessage, KafkaMessage]
    const seen: string[] = []
    const consumer = new Consumer([{ ...lost, partition: 1 }, kept])
    consumer.assignments = [{ topic: 'orders', partitions: [0] }]
    const options = { kest: kestOf('orders'), operation: OPERATION, deadLetter: () => undefined }
    const consumption = await consumeMessages(consumer, { topics: ['orders'] }, options, ({ value }) =>
      seen.push(String(value)),
    )
    await expect.poll(() => consumer.committed).toEqual(['0:1'])
    await consumption.close()
    expect(seen).toEqual(['bob'])
  })

  it('takes no more from its stream than it may handle at once, each partition in its order', async () => {
    const records = await recordsOf(Array.from({ length: 20 }, (_, n) => `user-${n}`))
    const spread = records.map((record, n) => ({ ...record, partition: n % 3 }))
    let running = 0
    let most = 0
    const seen = new Map<number, string[]>()
    const { consumer, consumption } = await consuming(
      spread,
      async ({ partition, value }) => {
        most = Math.max(most, ++running)
        await new Promise(setImmediate)
        running--
        seen.set(partition, [...(seen.get(partition) ?? []), String(value)])
      },
      { concurrency: 4 },
    )
    await expect.poll(() => consumer.committed.length).toBe(20)
    await consumption.close()
    expect(most).toBeLessThanOrEqual(3)
    for (const [partition, bodies] of seen)
      expect(bodies).toEqual(
        spread.filter((one) => one.partition === partition).map(({ value }) => String(value)),
      )
  })

  it('is told of values that are neither bytes nor text', async () => {
    const { consumption } = await consuming([{ value: { order: 1 } }], () => undefined)
    await expect(consumption.done).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it.each([
    ['autocommit', { topics: ['orders'], autocommit: true }, {}],
    ['no concurrency', { topics: ['orders'] }, { concurrency: 0 }],
    ['no place for dead letters', { topics: ['orders'] }, { deadLetter: undefined }],
    ['an unknown option', { topics: ['orders'] }, { misspelt: 1 }],
  ])('is refused with %s', async (_, consumed, options) => {
    const given = { kest: kestOf('orders'), operation: OPERATION, deadLetter: () => undefined, ...options }
    await expect(
      consumeMessages(new Consumer([]), consumed, given as never, () => undefined),
    ).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})
