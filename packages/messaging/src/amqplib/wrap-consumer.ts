import { KestConfigError } from '@kest/core'
import { deliver } from '../shared/deliver.js'
import { type ConsumerOptions, toConsumer } from '../shared/options.js'
import { override } from '../shared/override.js'
import { Redelivery, type RedeliveryOptions } from '../shared/redelivery.js'
import { Turns } from '../shared/turns.js'
import { inboundOf, SCHEME, withoutLineage } from './message.js'
import type { AmqpConsumer, AmqpMessage, ConsumeOptions } from './types.js'

export interface AmqpConsumerOptions extends ConsumerOptions<AmqpMessage>, RedeliveryOptions {}

/**
 * A channel of amqplib whose consumers handle each message in an operation, in a frame of its own, whichever context amqplib calls
 * them in (that of `connect()`). Handlers begin in the order of the deliveries, acknowledge as they always do, and see no `kest.*` in
 * the headers, so that they may hand them on. What they throw is as unhandled as without Kest.
 *
 * A message that is refused for what it is goes to `deadLetter`, and is acknowledged. About which nothing could be said, it stays
 * unacknowledged for `redeliverAfterMs`, and is then given back to its queue. `noAck` is refused, since what is acknowledged unread cannot
 * come again, and so is `get`. All else is the channel's own.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 *
 * @example
 * ```ts
 * const channel = wrapConsumer(await connection.createChannel(), {
 *   operation: { policy: 'payments/handle' },
 *   binding: 'message',
 *   deadLetter: deadLetterQueue(await connection.createConfirmChannel(), 'payments.dead'),
 * })
 * await channel.prefetch(20)
 * await channel.consume('payments', async (message) => {
 *   if (message === null) return
 *   await charge(JSON.parse(message.content.toString()))
 *   channel.ack(message)
 * })
 * ```
 */
export function wrapConsumer<C extends AmqpConsumer>(channel: C, options: AmqpConsumerOptions): C {
  const { redeliverAfterMs, logger, ...rest } = options ?? {}
  const wrapped = toConsumer('wrapConsumer', SCHEME, rest as ConsumerOptions<AmqpMessage>)
  const redelivery = new Redelivery('wrapConsumer', { redeliverAfterMs, logger })
  const settling = channel as unknown as {
    ack(message: AmqpMessage): void
    nack(message: AmqpMessage, allUpTo: boolean, requeue: boolean): void
  }

  async function handle(
    message: AmqpMessage,
    { from, turns, onMessage }: { from: string; turns: Turns; onMessage: (message: AmqpMessage) => unknown },
  ): Promise<void> {
    const turn = turns.take()
    let begun = false
    try {
      const outcome = await deliver(wrapped, inboundOf(message, from), message, async () => {
        await turn.came
        turn.pass()
        begun = true
        return onMessage(withoutLineage(message, wrapped))
      })
      if (!outcome.handled) settling.ack(message)
    } catch (error) {
      if (begun) throw error
      turn.pass()
      redelivery.tell(from, error)
      await redelivery.pause()
      giveBack(message)
    } finally {
      turn.pass()
    }
  }

  function giveBack(message: AmqpMessage): void {
    try {
      settling.nack(message, false, true)
    } catch {
      // A channel that is closed has given back whatever was not acknowledged.
    }
  }

  return override(channel, {
    async consume(
      queue: string,
      onMessage: (message: AmqpMessage | null) => unknown,
      given?: ConsumeOptions,
    ) {
      if (typeof queue !== 'string' || queue === '')
        throw new KestConfigError('consume: name the queue: operations are named by it')
      if (given?.noAck === true)
        throw new KestConfigError(
          'consume: noAck: what is acknowledged unread cannot be delivered again (K-MESSAGE)',
        )
      const reader = { from: wrapped.uriOf(queue), turns: new Turns(), onMessage }
      return Reflect.apply(channel.consume as (...args: unknown[]) => unknown, channel, [
        queue,
        (message: AmqpMessage | null) => (message === null ? onMessage(null) : handle(message, reader)),
        given,
      ])
    },
    async get() {
      throw new KestConfigError('get: what it reads is handled by nobody that Kest knows: use consume')
    },
  })
}
