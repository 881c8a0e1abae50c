export type {
  ConsumerOptions,
  DeadLetter,
  DestinationName,
  MessagingOptions,
  ProducerOptions,
} from '../shared/options.js'
export type { RedeliveryOptions } from '../shared/redelivery.js'
export type { BullFlow, BullFlowProducer, BullJob, BullQueue } from './types.js'
export { type Processor, type ProcessorOptions, wrapProcessor } from './wrap-processor.js'
export { wrapFlowProducer, wrapProducer } from './wrap-producer.js'
