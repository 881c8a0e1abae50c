import { KestConfigError } from '@kest/core'
import { SCHEME } from '../shared/kafka.js'
import { type ConsumerOptions, toConsumer } from '../shared/options.js'
import { Consumption } from './consumption.js'
import type { KafkaConsumer, KafkaMessage } from './types.js'

export interface KafkaConsumerOptions extends ConsumerOptions<KafkaMessage> {
  /** Messages that are taken from the stream at once; those of one partition are handled one after the other. Default 16. */
  readonly concurrency?: number | undefined
  /** How long is waited before what could not be judged is asked again, milliseconds; then twice as long. Default 1000. */
  readonly retryDelayMs?: number | undefined
  /** And at most so long. Default 30,000. */
  readonly maxRetryDelayMs?: number | undefined
}

/** What a consumer reads: topics, and whatever else `consume()` takes, but for `autocommit`. */
export interface Consumed {
  readonly topics: readonly string[]
  readonly [option: string]: unknown
}

/**
 * Handles the messages of topics, each in an operation of its own frame, those of a partition one after the other, and commits each
 * when its handler is done. `@platformatic/kafka` has no handlers of its own.
 *
 * A message that is refused for what it is goes to `deadLetter`, and is committed. About which nothing could be said (an engine, a
 * key source is down), it waits with its partition and is asked again. Where a handler fails, or `deadLetter` does, everything ends:
 * `done` rejects with it, and who consumes again begins with what was not committed. What is still buffered of a partition that was
 * lost to another consumer is not handled. Handlers see no `kest.*` in `headers`.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing; whatever `consume()` rejects with
 *
 * @example
 * ```ts
 * const consumption = await consumeMessages(consumer, { topics: ['orders'], mode: 'committed' }, {
 *   operation: { policy: 'orders/handle' },
 *   deadLetter: deadLetterTopic(producer, 'orders.dead'),
 * }, async ({ value }) => handle(value))
 * await consumption.done
 * ```
 */
export async function consumeMessages<M extends KafkaMessage = KafkaMessage>(
  consumer: KafkaConsumer,
  consumed: Consumed,
  options: KafkaConsumerOptions,
  handler: (message: M) => unknown,
): Promise<Consumption> {
  const { concurrency = 16, retryDelayMs = 1_000, maxRetryDelayMs = 30_000, ...rest } = options ?? {}
  const wrapped = toConsumer('consumeMessages', SCHEME, rest as ConsumerOptions<KafkaMessage>)
  for (const [name, value] of Object.entries({ concurrency, retryDelayMs, maxRetryDelayMs }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new KestConfigError(`consumeMessages.${name}: expected a positive integer, got ${String(value)}`)
  if (typeof handler !== 'function') throw new KestConfigError('consumeMessages: expected a handler')
  if ((consumed['autocommit'] ?? false) !== false)
    throw new KestConfigError('consumeMessages: autocommit acknowledges what nobody has handled (K-MESSAGE)')
  const stream = await consumer.consume({ ...consumed, autocommit: false } as never)
  return new Consumption(
    consumer,
    stream,
    { wrapped, concurrency, retryDelayMs, maxRetryDelayMs },
    handler as never,
  )
}
