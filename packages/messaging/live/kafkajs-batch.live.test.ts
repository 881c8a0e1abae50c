import { getCurrentPassport, getCurrentUser } from '@kest/core'
import { Kafka, logLevel } from 'kafkajs'
import { expect, it } from 'vitest'
import { startKafka } from '../../../tests/brokers/kafka.js'
import { deadLetterTopic, wrapConsumer, wrapProducer } from '../src/kafkajs/index.js'
import { createWorld } from './support/world.js'

it('K-MESSAGE handles a batch by one operation over all of its messages, and each message has an entry of its own', async () => {
  await using broker = await startKafka()
  const world = await createWorld()
  const kafka = new Kafka({ brokers: [broker.url], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'orders' }, { topic: 'dead' }], waitForLeaders: true })
  await admin.disconnect()
  const plain = kafka.producer()
  await plain.connect()
  const producer = wrapProducer(plain, { kest: world.gateway, propagateTo: ['orders'], binding: 'message' })
  const bodies = Array.from({ length: 20 }, (_, n) => `message ${n}`)
  for (const [n, value] of bodies.entries())
    await world.as(n % 2 === 0 ? 'alice' : 'bob', () =>
      producer.send({ topic: 'orders', messages: [{ value }] }),
    )
  await plain.send({ topic: 'orders', messages: [{ value: 'injected' }] })

  const consumer = wrapConsumer(kafka.consumer({ groupId: 'orders' }), {
    kest: world.worker,
    operation: { policy: 'orders/handle' },
    binding: 'message',
    deadLetter: deadLetterTopic(plain, 'dead'),
  })
  const handled: string[] = []
  const users: (string | null)[] = []
  let entries = 0
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  await consumer.run({
    eachBatch: async ({ batch }) => {
      users.push(getCurrentUser())
      entries += (getCurrentPassport()?.toJSON().length ?? 0) as number
      handled.push(...batch.messages.map(({ value }) => String(value)))
    },
  })
  await expect.poll(() => handled).toEqual(bodies)
  await consumer.disconnect()
  await plain.disconnect()
  // Of several at once whom they agree on acts, of one he.
  expect(users.length).toBeGreaterThan(0)
  // Each message: the sender's and its own; each batch: one.
  expect(entries).toBe(40 + users.length)
  const audited = await world.audited(['identity-conflict', 'trace-differs'])
  expect(audited).toEqual({ traces: 20, entries: 40 + users.length })
})
