export type {
  ConsumerOptions,
  DeadLetter,
  DestinationName,
  MessagingOptions,
  ProducerOptions,
} from '../shared/options.js'
export { type Consumed, consumeMessages, type KafkaConsumerOptions } from './consume-messages.js'
export type { Consumption } from './consumption.js'
export { deadLetterTopic } from './dead-letter-topic.js'
export type { HeaderType } from './headers.js'
export { type KafkaProducerOptions, wrapProducer } from './wrap-producer.js'
