import { Consumer, Producer } from '@platformatic/kafka'
import { Kafka, type Consumer as Kafkajs, type Producer as KafkajsProducer } from 'kafkajs'
import { describe, expectTypeOf, it } from 'vitest'
import * as kafkajs from './kafkajs/index.js'
import * as platformatic from './platformatic-kafka/index.js'

describe('what is wrapped', () => {
  const kafka = new Kafka({ brokers: [] })
  const operation = { policy: 'orders/handle' }

  it('stays what it is', () => {
    const consumer = kafka.consumer({ groupId: 'orders' })
    const deadLetter = kafkajs.deadLetterTopic(kafka.producer(), 'dead')
    expectTypeOf(kafkajs.wrapConsumer(consumer, { operation, deadLetter })).toEqualTypeOf<Kafkajs>()
    const producer = kafkajs.wrapProducer(kafka.producer(), { propagateTo: ['payments'] })
    expectTypeOf(producer).toEqualTypeOf<KafkajsProducer>()
    const other = new Producer({ clientId: 'x', bootstrapBrokers: [] })
    expectTypeOf(platformatic.wrapProducer(other, { propagateTo: [] })).toEqualTypeOf<Producer>()
  })

  it('needs a place for dead letters, an operation, and a scope', () => {
    const consumer = kafka.consumer({ groupId: 'orders' })
    // @ts-expect-error nothing is acknowledged in silence
    kafkajs.wrapConsumer(consumer, { operation })
    // @ts-expect-error there is no default
    kafkajs.wrapProducer(kafka.producer(), {})
    // @ts-expect-error a binding of requests
    kafkajs.wrapProducer(kafka.producer(), { propagateTo: [], binding: 'hop' })
    // @ts-expect-error handlers are needed
    void platformatic.consumeMessages(
      new Consumer({ groupId: 'g', clientId: 'x', bootstrapBrokers: [] }),
      { topics: [] },
      { operation, deadLetter: () => undefined },
    )
  })
})
