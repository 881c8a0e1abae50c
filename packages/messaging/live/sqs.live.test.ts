import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { startSqs } from '../../../tests/brokers/sqs.js'
import { deadLetterQueue, wrapConsumer, wrapProducer } from '../src/sqs/index.js'
import { testMessaging } from './suite.js'
import type { MessagingSystem, PlainMessage } from './support/driver.js'

/** How long a consumer has for what it has received, seconds. */
const VISIBILITY = '6'
const AT_ONCE = 10

testMessaging({ name: 'the AWS SDK', library: 'sqs', ordered: false, redelivery: 'count', users: 8, open })

async function open(): Promise<MessagingSystem> {
  const broker = await startSqs()
  const clients: SQSClient[] = []
  function newClient(): SQSClient {
    const client = new SQSClient({
      endpoint: broker.url,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
    clients.push(client)
    return client
  }
  const admin = newClient()
  let queues = 0
  const urls = new Map<string, string>()
  const urlOf = (name: string) => urls.get(name) as string

  async function taken(QueueUrl: string): Promise<Message[]> {
    const all: Message[] = []
    for (;;) {
      const request = { QueueUrl, MaxNumberOfMessages: AT_ONCE, MessageAttributeNames: ['All'] }
      const { Messages = [] } = await admin.send(new ReceiveMessageCommand(request))
      if (Messages.length === 0) return all
      all.push(...Messages)
      for (const { ReceiptHandle } of Messages)
        await admin.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
    }
  }

  const letters = new Map<string, Message[]>()

  return {
    urlOf,
    async create() {
      const name = `orders-${++queues}`
      for (const QueueName of [name, deadOf(name)]) {
        const command = new CreateQueueCommand({ QueueName, Attributes: { VisibilityTimeout: VISIBILITY } })
        const { QueueUrl } = await admin.send(command)
        urls.set(QueueName, QueueUrl as string)
      }
      return name
    },
    async producer(name, { told, ...options }) {
      const QueueUrl = urlOf(name)
      const queue = new URL(QueueUrl).pathname.split('/').slice(1)
      const client = wrapProducer(newClient(), { ...options, propagateTo: told ? [queue] : [] })
      return {
        async send([one, ...others]) {
          await client.send(new SendMessageCommand({ QueueUrl, MessageBody: one as string }))
          for (let at = 0; at < others.length; at += AT_ONCE) {
            const bodies = others.slice(at, at + AT_ONCE)
            const Entries = bodies.map((MessageBody, n) => ({ Id: String(n), MessageBody }))
            await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }))
          }
        },
        close: async () => client.destroy(),
      }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const QueueUrl = urlOf(name)
      const client = newClient()
      const deadLetter = deadLetterQueue((letter) =>
        admin.send(new SendMessageCommand({ QueueUrl: urlOf(deadOf(name)), ...letter })),
      )
      const handle = wrapConsumer(client, { ...options, deadLetter })(QueueUrl, (message: Message) =>
        handler(plain(message)),
      )
      let open = true
      async function all(messages: readonly Message[]): Promise<void> {
        const ended = await Promise.allSettled(messages.map(handle))
        // The others come again.
        const over = messages.filter((_, n) => ended[n]?.status === 'fulfilled')
        if (over.length === 0) return
        const Entries = over.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }))
        await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }))
      }
      async function poll(most: number): Promise<void> {
        while (open) {
          const request = { QueueUrl, MaxNumberOfMessages: most, WaitTimeSeconds: 1 }
          const { Messages = [] } = await client.send(new ReceiveMessageCommand(request))
          await all(Messages)
        }
      }
      const pollers = Array.from({ length: Math.ceil(concurrency / AT_ONCE) }, () =>
        poll(Math.min(concurrency, AT_ONCE)),
      )
      return {
        async close() {
          open = false
          await Promise.all(pollers)
        },
      }
    },
    async deadLetters(name) {
      const known = letters.get(name) ?? []
      known.push(...(await taken(urlOf(deadOf(name)))))
      letters.set(name, known)
      return known.map(plain).map(({ body, headers }) => ({ body, code: headers['kest-error'] as string }))
    },
    take: async (name) => (await taken(urlOf(name))).map(plain),
    async put(name, { body, headers }) {
      const attributes = Object.entries(headers).map(
        ([key, StringValue]) => [key, { DataType: 'String', StringValue }] as const,
      )
      const command = {
        QueueUrl: urlOf(name),
        MessageBody: body,
        MessageAttributes: Object.fromEntries(attributes),
      }
      await admin.send(new SendMessageCommand(command))
    },
    async close() {
      for (const client of clients) client.destroy()
      await broker.stop()
    },
  }
}

function deadOf(name: string): string {
  return `${name}-dead`
}

function plain({ Body = '', MessageAttributes = {} }: Message): PlainMessage {
  const headers = Object.entries(MessageAttributes).map(([name, { StringValue = '' }]) => [name, StringValue])
  return { body: Body, headers: Object.fromEntries(headers) }
}
