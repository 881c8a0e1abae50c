import { Kafka, logLevel } from 'kafkajs'
import { expect } from 'vitest'
import { startKafka } from '../../../../tests/brokers/kafka.js'
import type { MessagingDriver, MessagingSystem, PlainMessage } from './driver.js'

const PARTITIONS = 8
/** How long a broker waits for something to hand out: a reader of kafkajs that leaves waits for it, five seconds by default. */
export const WAIT_MS = 100

/** What differs by library. */
export type KafkaLibrary = Pick<MessagingSystem, 'producer' | 'consumer' | 'close'>

/** Topic of the dead letters of another. */
export function deadTopic(name: string): string {
  return `${name}.dead`
}

/** Messages about one thing are in one partition, and so in order. */
export function keyOf(body: string): string {
  return body.split(' ', 1)[0] as string
}

export function kafkaDriver(
  name: string,
  library: string,
  connect: (url: string) => Promise<KafkaLibrary>,
): MessagingDriver {
  return { name, library, ordered: true, redelivery: 'place', open: () => open(connect) }
}

/** Kafka, with its administrator, who has kafkajs. */
async function open(connect: (url: string) => Promise<KafkaLibrary>): Promise<MessagingSystem> {
  const broker = await startKafka({ 'group.min.session.timeout.ms': 1_000 })
  const kafka = new Kafka({ brokers: [broker.url], logLevel: logLevel.NOTHING, retry: { retries: 20 } })
  const admin = kafka.admin()
  await admin.connect()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  const library = await connect(broker.url)
  let topics = 0
  let readers = 0

  /** All that is in a topic now. */
  async function read(topic: string): Promise<PlainMessage[]> {
    const offsets = await admin.fetchTopicOffsets(topic)
    const count = offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
    const messages: PlainMessage[] = []
    if (count === 0) return messages
    const consumer = kafka.consumer({ groupId: `reader-${++readers}`, maxWaitTimeInMs: WAIT_MS })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { value, headers = {} } }) => {
        const texts = Object.entries(headers).map(([key, text]) => [key, String(text)])
        messages.push({ body: String(value), headers: Object.fromEntries(texts) })
      },
    })
    await expect.poll(() => messages.length, { timeout: 240_000, interval: 20 }).toBeGreaterThanOrEqual(count)
    await consumer.disconnect()
    return messages
  }

  /** How many partitions of these topics have a leader, as the broker has it now. */
  async function led(names: string[]): Promise<number> {
    const { topics } = await admin.fetchTopicMetadata({ topics: names }).catch(() => ({ topics: [] }))
    return topics.flatMap(({ partitions }) => partitions.filter(({ leader }) => leader >= 0)).length
  }

  return {
    ...library,
    urlOf: () => broker.url,
    async create() {
      const name = `orders-${++topics}`
      const made = [name, deadTopic(name)].map((topic) => ({ topic, numPartitions: PARTITIONS }))
      await admin.createTopics({ topics: made, waitForLeaders: false })
      // Waiting for leaders, kafkajs gives up where the broker does not know yet what the controller has just made.
      await expect.poll(() => led(made.map(({ topic }) => topic))).toBe(made.length * PARTITIONS)
      return name
    },
    async deadLetters(name) {
      const letters = await read(deadTopic(name))
      return letters.map(({ body, headers }) => ({ body, code: headers['kest-error'] ?? '' }))
    },
    async take(name) {
      const messages = await read(name)
      const offsets = await admin.fetchTopicOffsets(name)
      const partitions = offsets.map(({ partition, high }) => ({ partition, offset: high }))
      await admin.deleteTopicRecords({ topic: name, partitions })
      return messages
    },
    async put(name, { body, headers }) {
      await producer.send({ topic: name, messages: [{ key: keyOf(body), value: body, headers }] })
    },
    async close() {
      await library.close()
      await producer.disconnect()
      await admin.disconnect()
      await broker.stop()
    },
  }
}
