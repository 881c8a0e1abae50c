import { Kafka, logLevel, type Producer } from 'kafkajs'
import { deadLetterTopic, wrapConsumer, wrapProducer } from '../src/kafkajs/index.js'
import { testMessaging } from './suite.js'
import { deadTopic, type KafkaLibrary, kafkaDriver, keyOf, WAIT_MS } from './support/kafka.js'

testMessaging(kafkaDriver('kafkajs', 'kafkajs', library))

/** What could not be judged is soon asked again. */
const RETRY = { initialRetryTime: 50, maxRetryTime: 200, retries: 3 }

async function library(url: string): Promise<KafkaLibrary> {
  const kafka = new Kafka({ brokers: [url], logLevel: logLevel.NOTHING })
  const letters: Producer = kafka.producer()
  await letters.connect()
  return {
    async producer(name, { told, ...options }) {
      const producer = wrapProducer(kafka.producer({ idempotent: true }), {
        ...options,
        propagateTo: told ? [name] : [],
      })
      await producer.connect()
      return {
        async send(bodies) {
          const messages = bodies.map((body) => ({ key: keyOf(body), value: body }))
          await producer.send({ topic: name, messages })
        },
        close: () => producer.disconnect(),
      }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const consumer = wrapConsumer(
        kafka.consumer({
          groupId: name,
          sessionTimeout: 10_000,
          heartbeatInterval: 500,
          maxWaitTimeInMs: WAIT_MS,
          retry: RETRY,
        }),
        { ...options, deadLetter: deadLetterTopic(letters, deadTopic(name)) },
      )
      let open = true
      await consumer.connect()
      await consumer.subscribe({ topic: name, fromBeginning: true })
      await consumer.run({
        partitionsConsumedConcurrently: concurrency,
        eachMessage: async ({ message: { value, headers = {} } }) => {
          const texts = Object.entries(headers).map(([key, text]) => [key, String(text)])
          await handler({ body: String(value), headers: Object.fromEntries(texts) })
        },
      })
      return {
        async close() {
          if (!open) return
          open = false
          await consumer.disconnect()
        },
      }
    },
    close: () => letters.disconnect(),
  }
}
