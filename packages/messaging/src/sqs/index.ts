export type {
  ConsumerOptions,
  DeadLetter,
  DestinationName,
  MessagingOptions,
  ProducerOptions,
} from '../shared/options.js'
export { deadLetterQueue, type SqsLetter } from './dead-letter-queue.js'
export type { SqsClient, SqsMessage } from './types.js'
export { type SqsHandlers, wrapConsumer } from './wrap-consumer.js'
export { type SqsProducerOptions, wrapProducer } from './wrap-producer.js'
