import { randomUUID } from 'node:crypto'
import { Consumer, Producer } from '@platformatic/kafka'
import { consumeMessages, deadLetterTopic, wrapProducer } from '../src/platformatic-kafka/index.js'
import { testMessaging } from './suite.js'
import { deadTopic, type KafkaLibrary, kafkaDriver, keyOf } from './support/kafka.js'

testMessaging(kafkaDriver('@platformatic/kafka', 'platformatic-kafka', library))

async function library(url: string): Promise<KafkaLibrary> {
  const common = () => ({ clientId: randomUUID(), bootstrapBrokers: [url], retries: true as const })
  const letters = new Producer(common())
  return {
    async producer(name, { told, ...options }) {
      const producer = wrapProducer(new Producer({ ...common(), idempotent: true }), {
        ...options,
        propagateTo: told ? [name] : [],
      })
      return {
        async send(bodies) {
          const messages = bodies.map((body) => ({
            topic: name,
            key: Buffer.from(keyOf(body)),
            value: Buffer.from(body),
          }))
          await producer.send({ messages })
        },
        close: () => producer.close(),
      }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const consumer = new Consumer({
        ...common(),
        groupId: name,
        sessionTimeout: 10_000,
        heartbeatInterval: 500,
      })
      const consumption = await consumeMessages(
        consumer,
        { topics: [name], mode: 'committed', fallbackMode: 'earliest', maxWaitTime: 100 },
        {
          ...options,
          concurrency,
          retryDelayMs: 50,
          maxRetryDelayMs: 100,
          deadLetter: deadLetterTopic(letters, deadTopic(name)),
        },
        async ({ value, headers }) => {
          const texts = [...headers].map(([key, text]) => [String(key), String(text)])
          await handler({ body: String(value), headers: Object.fromEntries(texts) })
        },
      )
      let open = true
      return {
        async close() {
          if (!open) return
          open = false
          await consumption.close()
          await consumer.close(true)
        },
      }
    },
    close: () => letters.close(),
  }
}
