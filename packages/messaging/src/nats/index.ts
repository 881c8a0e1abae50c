export type {
  ConsumerOptions,
  DeadLetter,
  DestinationName,
  MessagingOptions,
  ProducerOptions,
} from '../shared/options.js'
export type { RedeliveryOptions } from '../shared/redelivery.js'
export { deadLetterSubject, type StreamPublisher } from './dead-letter-subject.js'
export type { NatsConsumerOptions } from './handle.js'
export type { JetStreamMessage, KestSender, NatsHeaders, NatsMessage, NatsSender } from './types.js'
export { handleMessages, wrapCallback } from './wrap-consumer.js'
export { type NatsProducerOptions, wrapProducer } from './wrap-producer.js'
