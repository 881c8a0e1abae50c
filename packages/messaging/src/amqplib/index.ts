export type {
  ConsumerOptions,
  DeadLetter,
  DestinationName,
  MessagingOptions,
  ProducerOptions,
} from '../shared/options.js'
export type { RedeliveryOptions } from '../shared/redelivery.js'
export { type ConfirmingChannel, deadLetterQueue } from './dead-letter-queue.js'
export type { AmqpConsumer, AmqpMessage, AmqpPublisher, KestPublisher } from './types.js'
export { type AmqpConsumerOptions, wrapConsumer } from './wrap-consumer.js'
export { wrapProducer } from './wrap-producer.js'
