import { type Channel, connect, type Message } from 'amqplib'
import { startRabbitMQ } from '../../../tests/brokers/rabbitmq.js'
import { deadLetterQueue, wrapConsumer, wrapProducer } from '../src/amqplib/index.js'
import { testMessaging } from './suite.js'
import type { MessagingSystem, PlainMessage } from './support/driver.js'
import { UnderWay } from './support/under-way.js'

testMessaging({ name: 'amqplib', library: 'amqplib', ordered: true, redelivery: 'mark', open })

async function open(): Promise<MessagingSystem> {
  const broker = await startRabbitMQ()
  const admin = await connect(broker.url)
  const control = await admin.createConfirmChannel()
  let queues = 0

  async function taken(channel: Channel, queue: string): Promise<Message[]> {
    const messages: Message[] = []
    for (;;) {
      const message = await channel.get(queue)
      if (message === false) return messages
      messages.push(message)
    }
  }

  return {
    urlOf: () => broker.url,
    async create() {
      const name = `orders-${++queues}`
      for (const queue of [name, deadOf(name)]) await control.assertQueue(queue)
      return name
    },
    async producer(name, { told, ...options }) {
      const channel = await admin.createConfirmChannel()
      const producer = wrapProducer(channel, { ...options, propagateTo: told ? [name] : [] })
      return {
        send: async (bodies) => {
          const send = (body: string) => producer.sendToQueue(name, Buffer.from(body), { persistent: true })
          await Promise.all(bodies.map(send))
        },
        close: () => producer.close(),
      }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const connection = await connect(broker.url)
      connection.on('error', () => {})
      const deadLetter = deadLetterQueue(await connection.createConfirmChannel(), deadOf(name))
      const channel = wrapConsumer(await connection.createChannel(), {
        ...options,
        deadLetter,
        redeliverAfterMs: 100,
      })
      const underWay = new UnderWay()
      let open = true
      await channel.prefetch(concurrency)
      const { consumerTag } = await channel.consume(name, async (message) => {
        if (message !== null)
          await underWay.track(handler(plain(message)).then(() => open && channel.ack(message)))
      })
      return {
        async close() {
          if (!open) return
          await channel.cancel(consumerTag)
          await underWay.ended()
          open = false
          await connection.close()
        },
      }
    },
    async deadLetters(name) {
      const channel = await admin.createChannel()
      const letters = await taken(channel, deadOf(name))
      // What was not acknowledged goes back.
      await channel.close()
      return letters.map((letter) => ({
        ...plain(letter),
        code: plain(letter).headers['kest-error'] as string,
      }))
    },
    async take(name) {
      const messages = await taken(control, name)
      for (const message of messages) control.ack(message)
      return messages.map(plain)
    },
    async put(name, { body, headers }) {
      control.sendToQueue(name, Buffer.from(body), { headers })
      await control.waitForConfirms()
    },
    async close() {
      await admin.close()
      await broker.stop()
    },
  }
}

function deadOf(name: string): string {
  return `${name}.dead`
}

function plain({ content, properties }: Message): PlainMessage {
  return { body: content.toString(), headers: properties.headers as PlainMessage['headers'] }
}
