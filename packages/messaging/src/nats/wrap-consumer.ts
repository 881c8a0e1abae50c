import { KestConfigError } from '@kest/core'
import { Turns } from '../shared/turns.js'
import { type NatsConsumerOptions, NatsHandler } from './handle.js'
import type { NatsMessage } from './types.js'

const MAX_CONCURRENCY = 10_000

/**
 * A callback for a subscription of NATS (`{ callback }` of `subscribe`) or a consumer of JetStream (of `consume`) that handles each
 * message in an operation, in a frame of its own, whichever context it is called in (that of `connect()`). Handlers begin in the order of
 * the messages, see no `kest.*` in the headers, and acknowledge as they always do. An error of the subscription goes to `onError`.
 *
 * A message that is refused for what it is goes to `deadLetter`; in a JetStream it is then terminated, with the code as its reason.
 * About which nothing could be said: a JetStream delivers it again after `redeliverAfterMs` (`nak`), within the consumer's `max_deliver`; NATS itself
 * delivers once, so that it is judged again here, and those behind it wait. What the handler throws is as unhandled as without Kest.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 *
 * @example
 * ```ts
 * connection.subscribe('payments.new', { queue: 'workers', callback: wrapCallback((message) => charge(message.json()), options) })
 * ```
 */
export function wrapCallback<M extends NatsMessage>(
  handler: (message: M) => unknown,
  options: NatsConsumerOptions<M> & { readonly onError?: ((error: unknown) => void) | undefined },
): (...args: [message: M] | [error: unknown, message: M]) => void {
  const { onError, ...rest } = options ?? {}
  const each = new NatsHandler('wrapCallback', rest as NatsConsumerOptions<M>, handler)
  const turns = new Turns()
  return (...args) => {
    const [error, message] = args.length === 1 ? [null, args[0]] : args
    if (error == null) return void each.handle(message, turns.take())
    if (onError === undefined) throw error
    onError(error)
  }
}

/**
 * Handles what a subscription of NATS or a consumer of JetStream (`consume`, `fetch`) lists, each message as {@link wrapCallback} has it.
 * It ends with the list.
 *
 * @param options.concurrency how many are handled at once; default 1: one after the other
 * @throws {KestConfigError} for options that are unknown, wrong or missing; what the first handler throws that fails: it ends the list, as in a
 *   loop of one's own, when those that had begun have ended
 *
 * @example
 * ```ts
 * const consumer = await jetstream(connection).consumers.get('PAYMENTS', 'workers')
 * await handleMessages(await consumer.consume(), async (message) => {
 *   await charge(message.json())
 *   message.ack()
 * }, { operation: { policy: 'payments/handle' }, deadLetter: deadLetterSubject(stream, 'payments.dead', headers) })
 * ```
 */
export async function handleMessages<M extends NatsMessage>(
  messages: AsyncIterable<M>,
  handler: (message: M) => unknown,
  options: NatsConsumerOptions<M> & { readonly concurrency?: number | undefined },
): Promise<void> {
  const { concurrency = 1, ...rest } = options ?? {}
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY)
    throw new KestConfigError(`handleMessages.concurrency: expected 1 to ${MAX_CONCURRENCY}`)
  const each = new NatsHandler('handleMessages', rest as NatsConsumerOptions<M>, handler)
  const turns = new Turns()
  const underWay = new Set<Promise<void>>()
  const failures: unknown[] = []
  try {
    for await (const message of messages) {
      const one = each
        .handle(message, turns.take())
        .catch((error) => void failures.push(error))
        .finally(() => underWay.delete(one))
      underWay.add(one)
      if (underWay.size >= concurrency) await Promise.race(underWay)
      if (failures.length > 0) break
    }
  } finally {
    await Promise.all(underWay)
  }
  if (failures.length > 0) throw failures[0]
}
