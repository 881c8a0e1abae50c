export type {
  ConsumerOptions,
  DeadLetter,
  DestinationName,
  MessagingOptions,
  ProducerOptions,
} from '../shared/options.js'
export { deadLetterTopic, type RefusedRecord } from './dead-letter-topic.js'
export { wrapConsumer } from './wrap-consumer.js'
export { wrapProducer } from './wrap-producer.js'
