import { createRequire } from 'node:module'
import { type KestErrorCode, MemoryCache, type MessageReplayStore } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { headers as newHeaders } from '@nats-io/transport-node'
import { describe, expect, it } from 'vitest'
import {
  deadLetterQueue,
  wrapConsumer as wrapChannel,
  wrapProducer as wrapPublisher,
} from '../src/amqplib/index.js'
import type { AmqpMessage } from '../src/amqplib/types.js'
import { deadLetterTopic } from '../src/kafkajs/index.js'
import { deadLetterSubject, handleMessages, wrapProducer as wrapNats } from '../src/nats/index.js'
import type { NatsHeaders, NatsMessage, NatsSender } from '../src/nats/types.js'
import { wrapConsumer as wrapSqs } from '../src/sqs/index.js'
import { BOUND, inRequest, kestOf, OPERATION } from './support.js'

// What anybody can send who may write to a queue: one message must not stop those behind it.

const require = createRequire(import.meta.url)
const gateway = kestOf('gateway')
const orders = kestOf('orders')

/** A message as the client reads it from the wire. */
function natsMessage(subject: string, wire: string, data = '1'): NatsMessage {
  const { decode } = newHeaders().constructor as unknown as { decode(bytes: Uint8Array): NatsHeaders }
  return {
    subject,
    data: Buffer.from(data),
    get headers() {
      return decode(Buffer.from(wire))
    },
  }
}

async function* listed<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

describe('NATS', () => {
  const UNREADABLE = 'NATS/1.0\r\nno name: x\r\n\r\n'

  async function sent(data: string): Promise<NatsMessage> {
    let headers = newHeaders() as unknown as NatsHeaders
    const connection = {
      publish(_: string, __: unknown, options: { headers: NatsHeaders }) {
        headers = options.headers
      },
    }
    const producer = wrapNats(connection as never as NatsSender, {
      kest: gateway,
      headers: newHeaders as unknown as () => NatsHeaders,
      propagateTo: ['orders'],
      ...BOUND,
    })
    await inRequest(gateway, () => producer.publish('orders', Buffer.from(data) as never))
    return { subject: 'orders', data: Buffer.from(data), headers }
  }

  it('puts a message away whose headers the client cannot read, and handles those behind it', async () => {
    const letters: { readonly subject: string; readonly headers: NatsHeaders }[] = []
    const stream = {
      publish: async (subject: string, _: Uint8Array, { headers }: { headers: NatsHeaders }) =>
        letters.push({ subject, headers }),
    }
    const handled: string[] = []
    await handleMessages(
      listed([natsMessage('orders', UNREADABLE), await sent('2')]),
      ({ data }) => handled.push(Buffer.from(data).toString()),
      {
        kest: orders,
        operation: OPERATION,
        ...BOUND,
        deadLetter: deadLetterSubject(stream as never, 'dead', newHeaders as unknown as () => NatsHeaders),
      },
    )
    expect(handled).toEqual(['2'])
    expect(letters.map(({ subject, headers }) => [subject, headers.get('kest-error')])).toEqual([
      ['dead', 'ERR_KEST_BAGGAGE'],
    ])
  })

  it('takes what it judges again for the same message, and a copy of it for another', async () => {
    let asked = 0
    const engine = new MockPolicyEngine(() => {
      if (++asked === 1) throw new Error('down')
      return true
    })
    const refused: KestErrorCode[] = []
    let handled = 0
    const one = await sent('1')
    const copy = { ...one, headers: copied(one.headers as NatsHeaders) }
    await handleMessages(listed([one, copy]), () => void handled++, {
      kest: kestOf('orders', { engine }),
      operation: OPERATION,
      ...BOUND,
      replayStore: new MemoryCache() satisfies MessageReplayStore,
      redeliverAfterMs: 1,
      deadLetter: ({ code }) => refused.push(code),
    })
    expect({ handled, refused }).toEqual({ handled: 1, refused: ['ERR_KEST_BINDING'] })
  })

  function copied(headers: NatsHeaders): NatsHeaders {
    const copy = newHeaders()
    for (const [name, values] of headers) for (const value of values) copy.append(name, value)
    return copy as unknown as NatsHeaders
  }
})

describe('amqplib', () => {
  interface Codec {
    encodeTable(buffer: Buffer, table: object, offset: number): number
    decodeFields(bytes: Buffer): Record<string, unknown>
  }
  const codec = createRequire(require.resolve('amqplib'))('./lib/codec.js') as Codec

  /** A channel that encodes as amqplib does. */
  class Channel {
    readonly letters: { readonly headers: Record<string, unknown> }[] = []
    readonly settled: string[] = []
    #onMessage: ((message: AmqpMessage) => Promise<void>) | undefined

    async checkQueue(): Promise<void> {}

    sendToQueue(_: string, __: Buffer, options: { headers: object }, onConfirm: () => void): boolean {
      const bytes = Buffer.alloc(65_536)
      const length = codec.encodeTable(bytes, options.headers, 0)
      this.letters.push({ ...options, headers: codec.decodeFields(bytes.subarray(4, length)) })
      onConfirm()
      return true
    }

    publish(): boolean {
      return true
    }

    consume(_: string, onMessage: never): void {
      this.#onMessage = onMessage
    }

    ack(): void {
      this.settled.push('ack')
    }

    nack(): void {
      this.settled.push('nack')
    }

    deliver(headers: Record<string, unknown>, more = {}): Promise<void> | undefined {
      const properties = { headers, ...more }
      return this.#onMessage?.({ content: Buffer.from('1'), fields: { redelivered: false }, properties })
    }
  }

  async function refusing(headers: Record<string, unknown>, more = {}) {
    const channel = new Channel()
    const reader = wrapChannel(channel as never, {
      kest: orders,
      operation: OPERATION,
      redeliverAfterMs: 1,
      logger: { error: () => {} },
      deadLetter: deadLetterQueue(channel as never, 'dead'),
    }) as unknown as Channel
    await reader.consume('orders', (() => {}) as never)
    await channel.deliver(headers, more)
    return channel
  }

  it('puts a message away that has a header "__proto__"', async () => {
    const wire = Buffer.from('\x09__proto__F\0\0\0\x08\x01aS\0\0\0\x01x', 'latin1')
    const { settled, letters } = await refusing(codec.decodeFields(wire))
    expect(settled).toEqual(['ack'])
    expect(letters[0]?.headers).toMatchObject({ 'kest-error': 'ERR_KEST_LINEAGE_MISSING' })
  })

  it('has the broker hand a dead letter to nobody else, whatever its headers say', async () => {
    const { letters } = await refusing({ CC: ['orders'], 'x-mine': 'kept' })
    expect(letters[0]?.headers).toEqual({
      'kest-cc': ['orders'],
      'x-mine': 'kept',
      'kest-error': 'ERR_KEST_LINEAGE_MISSING',
      'kest-source': 'amqp://default/orders',
    })
  })

  it.each([
    ['a type that there is not', { h: { '!': 'nonsense' } }],
    ['one deep within', { h: [{ a: { '!': 'nonsense' } }] }],
    ['a number that is none', { h: Number.NaN }],
    ['an integer that is none', { h: -1e300 }],
    ['a decimal that is none', { h: { '!': 'decimal', value: { places: 1, digits: 'x' } } }],
    ['a name that is too long', { ['\ufffd'.repeat(255)]: 1 }],
    ['more than can be written', { h: 'x'.repeat(70_000) }],
  ])('puts a message away with %s among its headers', async (_, headers) => {
    const { settled, letters } = await refusing({ ...headers, 'x-mine': 'kept' })
    expect(settled).toEqual(['ack'])
    expect(letters[0]?.headers).toMatchObject({ 'x-mine': 'kept', 'kest-left-out': expect.any(String) })
  })

  it('leaves a property out that cannot be written, and keeps what amqplib itself reads', async () => {
    const headers = {
      at: { '!': 'timestamp', value: 1 },
      price: { '!': 'decimal', value: { places: 2, digits: 5 } },
    }
    const { letters } = await refusing(headers, { type: 'x'.repeat(300), appId: 'shop' })
    expect(letters[0]).toMatchObject({ appId: 'shop', headers: { ...headers, 'kest-left-out': 'type' } })
    expect(letters[0]).not.toHaveProperty('type')
  })

  it('sends no passport to further queues, whichever way they are named', async () => {
    const producer = wrapPublisher(new Channel() as never, {
      kest: gateway,
      propagateTo: ['orders'],
    }) as unknown as {
      sendToQueue(queue: string, content: Buffer, options: object): Promise<boolean>
    }
    for (const options of [{ CC: 'else' }, { headers: { CC: ['else'] } }, { headers: { BCC: ['else'] } }])
      await expect(
        inRequest(gateway, () => producer.sendToQueue('orders', Buffer.from('1'), options)),
      ).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})

describe('kafkajs', () => {
  const record = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => unknown

  it.each([
    ['no value', { h: null }],
    ['no value, twice', { h: [null, null] }],
    ['a name that objects inherit', { constructor: [Object, Buffer.from('x')] }],
  ])('puts a record away whose header has %s', async (_, headers) => {
    const letters: unknown[] = []
    const producer = {
      send: async ({ messages }: { messages: object[] }) => letters.push(...messages.map(record)),
    }
    await deadLetterTopic(
      producer as never,
      'dead',
    )({
      message: {
        topic: 'orders',
        partition: 0,
        message: { key: null, value: Buffer.from('1'), offset: '0', headers: headers as never },
      },
      from: 'kafka://default/orders',
      code: 'ERR_KEST_LINEAGE_MISSING',
      error: null,
    })
    expect(letters).toHaveLength(1)
  })
})

describe('SQS', () => {
  it('shows a handler the attributes of others as they are', async () => {
    const attributes = { Baggage: { DataType: 'Binary', BinaryValue: Buffer.from('a=1') } }
    const handlerOf = wrapSqs(
      { middlewareStack: { add: () => {} } },
      { kest: orders, origin: 'user_input', operation: OPERATION, deadLetter: () => {} },
    )
    const handle = handlerOf('https://sqs.local/1/orders', ({ MessageAttributes }) => MessageAttributes)
    const message = { Attributes: { ApproximateReceiveCount: '1' }, MessageAttributes: attributes, Body: '1' }
    expect(await handle(message)).toEqual(attributes)
  })
})
