import { deliver } from '../shared/deliver.js'
import { SCHEME } from '../shared/kafka.js'
import { type ConsumerOptions, toConsumer, type WrappedConsumer } from '../shared/options.js'
import { override } from '../shared/override.js'
import type { RefusedRecord } from './dead-letter-topic.js'
import { handleBatch } from './each-batch.js'
import { inboundOf, withoutLineage } from './record.js'
import type { EachBatchPayload, EachMessagePayload, KafkajsConsumer, RunConfig } from './types.js'

/**
 * A consumer of kafkajs whose handlers run in an operation: `eachMessage` in one for each message, in a frame of its own, whichever
 * context kafkajs calls it in; `eachBatch` in one over all of them that were let in, each by itself, beyond K-LIMIT in several.
 * Handlers see no `kest.*` in the headers, so that they may hand them on.
 *
 * A message that is refused for what it is goes to `deadLetter`, and its offset is resolved; about which nothing could be said, it is
 * read again (kafkajs' own retry, and then its restart), and so is one whose handler has failed. Everything else is the consumer's own.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 *
 * @example
 * ```ts
 * const consumer = wrapConsumer(kafka.consumer({ groupId: 'orders' }), {
 *   operation: { policy: 'orders/handle' },
 *   binding: 'message',
 *   deadLetter: deadLetterTopic(producer, 'orders.dead'),
 * })
 * await consumer.run({ eachMessage: async ({ message }) => handle(message.value) })
 * ```
 */
export function wrapConsumer<C extends KafkajsConsumer>(
  consumer: C,
  options: ConsumerOptions<RefusedRecord>,
): C {
  const wrapped = toConsumer('wrapConsumer', SCHEME, options)
  return override(consumer, {
    run: (config: RunConfig = {}) => consumer.run(handling(config, wrapped)),
  })
}

function handling(config: RunConfig, wrapped: WrappedConsumer<RefusedRecord>): RunConfig {
  const { eachMessage, eachBatch, eachBatchAutoResolve = true } = config
  return {
    ...config,
    ...(eachMessage && { eachMessage: onEachMessage(eachMessage as never, wrapped) }),
    ...(eachBatch && {
      eachBatch: (payload: EachBatchPayload) =>
        handleBatch(eachBatch as never, payload, wrapped, eachBatchAutoResolve),
    }),
  }
}

function onEachMessage(
  handler: (payload: EachMessagePayload) => Promise<void>,
  wrapped: WrappedConsumer<RefusedRecord>,
): (payload: EachMessagePayload) => Promise<void> {
  return async (payload) => {
    const { topic, partition, message } = payload
    await deliver(wrapped, inboundOf(payload, wrapped), { topic, partition, message }, () =>
      handler({ ...payload, message: withoutLineage(message, wrapped) }),
    )
  }
}
