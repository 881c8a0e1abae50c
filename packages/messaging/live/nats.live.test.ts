import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import { AckPolicy as AckPolicy2, connect as connect2, headers as headers2 } from 'nats'
import { startNats } from '../../../tests/brokers/nats.js'
import { deadLetterSubject, handleMessages, wrapCallback, wrapProducer } from '../src/nats/index.js'
import { testMessaging } from './suite.js'
import type { MessagingSystem, PlainMessage } from './support/driver.js'
import { UnderWay } from './support/under-way.js'

const GROUP = 'workers'
/** How long a consumer has for what it has been given, nanoseconds. */
const ACK_WAIT = 6_000_000_000

testMessaging({
  name: 'a JetStream’s iterator (@nats-io 3)',
  library: 'nats',
  ordered: true,
  redelivery: 'count',
  open,
})
testMessaging({
  name: 'a JetStream’s callback (nats 2)',
  library: 'nats2',
  ordered: true,
  redelivery: 'count',
  open: openOld,
})

async function open(): Promise<MessagingSystem> {
  const broker = await startNats()
  const admin = await connect({ servers: broker.url })
  const manager = await jetstreamManager(admin)
  const stream = jetstream(admin)
  let queues = 0

  async function waiting(name: string): Promise<Waiting[]> {
    const { state } = await manager.streams.info(name)
    const found: Waiting[] = []
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
      const stored = await manager.streams.getMessage(name, { seq })
      if (stored !== null) found.push({ seq, message: plain(stored) })
    }
    return found
  }

  return {
    urlOf: () => broker.url,
    async create() {
      const name = `ORDERS-${++queues}`
      await manager.streams.add({ name, subjects: [`orders.${queues}`] })
      await manager.streams.add({ name: deadOf(name), subjects: [subjectOf(deadOf(name))] })
      const consumer = { durable_name: GROUP, ack_policy: AckPolicy.Explicit, ack_wait: ACK_WAIT }
      await manager.consumers.add(name, consumer)
      return name
    },
    async producer(name, { told, ...options }) {
      const subject = subjectOf(name)
      const producer = wrapProducer(stream, { ...options, headers, propagateTo: told ? [subject] : [] })
      const send = (body: string) => producer.publish(subject, body)
      return { send: async (bodies) => void (await Promise.all(bodies.map(send))), close: async () => {} }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const connection = await connect({ servers: broker.url })
      const consumer = await jetstream(connection).consumers.get(name, GROUP)
      const messages = await consumer.consume({ max_messages: concurrency })
      let open = true
      const handled = handleMessages(
        messages,
        async (message) => {
          await handler(plain(message))
          if (open) message.ack()
        },
        {
          ...options,
          concurrency,
          redeliverAfterMs: 100,
          deadLetter: deadLetterSubject(stream, subjectOf(deadOf(name)), headers),
        },
      )
      return {
        async close() {
          if (!open) return
          await messages.close()
          await handled
          open = false
          await connection.drain()
        },
      }
    },
    ...keptBy(manager.streams, waiting),
    put: async (name, message) =>
      void (await stream.publish(subjectOf(name), message.body, headersOf(message, headers()))),
    async close() {
      await admin.close()
      await broker.stop()
    },
  }
}

interface Waiting {
  readonly seq: number
  readonly message: PlainMessage
}

/** What streams keep. */
function keptBy(
  streams: { deleteMessage(name: string, seq: number): Promise<unknown> },
  waiting: (name: string) => Promise<readonly Waiting[]>,
): Pick<MessagingSystem, 'deadLetters' | 'take'> {
  return {
    async deadLetters(name) {
      const letters = await waiting(deadOf(name))
      return letters.map(({ message: { body, headers } }) => ({
        body,
        code: headers['kest-error'] as string,
      }))
    },
    async take(name) {
      const found = await waiting(name)
      for (const { seq } of found) await streams.deleteMessage(name, seq)
      return found.map(({ message }) => message)
    },
  }
}

async function openOld(): Promise<MessagingSystem> {
  const broker = await startNats()
  const admin = await connect2({ servers: broker.url })
  const manager = await admin.jetstreamManager()
  const stream = admin.jetstream()
  let queues = 0

  async function waiting(name: string): Promise<Waiting[]> {
    const { state } = await manager.streams.info(name)
    const found: Waiting[] = []
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
      const stored = await manager.streams.getMessage(name, { seq }).catch(() => null)
      if (stored !== null) found.push({ seq, message: plain(stored as never) })
    }
    return found
  }

  return {
    urlOf: () => broker.url,
    async create() {
      const name = `ORDERS-${++queues}`
      await manager.streams.add({ name, subjects: [`orders.${queues}`] })
      await manager.streams.add({ name: deadOf(name), subjects: [subjectOf(deadOf(name))] })
      const consumer = { durable_name: GROUP, ack_policy: AckPolicy2.Explicit, ack_wait: ACK_WAIT }
      await manager.consumers.add(name, consumer)
      return name
    },
    async producer(name, { told, ...options }) {
      const subject = subjectOf(name)
      const producer = wrapProducer(stream, {
        ...options,
        headers: headers2,
        propagateTo: told ? [subject] : [],
      })
      const send = (body: string) => producer.publish(subject, Buffer.from(body))
      return { send: async (bodies) => void (await Promise.all(bodies.map(send))), close: async () => {} }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const connection = await connect2({ servers: broker.url })
      const consumer = await connection.jetstream().consumers.get(name, GROUP)
      const underWay = new UnderWay()
      let open = true
      const callback = wrapCallback(
        (message: import('nats').JsMsg) =>
          underWay.track(
            handler(plain(message as never)).then(() => {
              if (open) message.ack()
            }),
          ),
        {
          ...options,
          redeliverAfterMs: 100,
          deadLetter: deadLetterSubject(stream, subjectOf(deadOf(name)), headers2),
        },
      )
      const messages = await consumer.consume({ max_messages: concurrency, callback })
      return {
        async close() {
          if (!open) return
          await messages.close()
          await underWay.ended()
          open = false
          await connection.drain()
        },
      }
    },
    ...keptBy(manager.streams, waiting),
    put: async (name, message) =>
      void (await stream.publish(subjectOf(name), message.body, headersOf(message, headers2()) as never)),
    async close() {
      await admin.close()
      await broker.stop()
    },
  }
}

function deadOf(name: string): string {
  return `DEAD-${name}`
}

function subjectOf(name: string): string {
  return name.toLowerCase().replace('dead-', 'dead.').replace('orders-', 'orders.')
}

type Carried = Iterable<[string, string[]]> & { append(name: string, value: string): void }

function headersOf<H extends Carried>(message: PlainMessage, carried: H): { headers: H } {
  for (const [name, value] of Object.entries(message.headers)) carried.append(name, value)
  return { headers: carried }
}

function plain(message: {
  readonly data: Uint8Array
  readonly headers?: Carried | undefined
  readonly header?: Carried
}): PlainMessage {
  const carried = message.headers ?? message.header ?? []
  const named = [...carried].map(([name, values]) => [name, values.join(',')])
  return { body: Buffer.from(message.data).toString(), headers: Object.fromEntries(named) }
}
