import { deadLetterHeaders } from '../shared/dead-letter-headers.js'
import type { DeadLetter } from '../shared/options.js'
import type { AmqpMessage } from './types.js'
import { type Properties, writable } from './writable.js'

/** What {@link deadLetterQueue} needs of a channel. */
export interface ConfirmingChannel {
  checkQueue(queue: string): PromiseLike<unknown>
  sendToQueue(queue: string, content: Buffer, options: never, onConfirm: never): boolean
}

/**
 * Puts refused messages on a queue: bytes, properties and headers as they came, with `kest-error` (the code) and `kest-source` (where it
 * was read); persistent, without the time after which the broker would drop it. `CC`, by which the broker would hand the letter to
 * further queues, also to the one that it came from, is called `kest-cc` there. What amqplib reads and cannot write, and headers
 * beyond 48 KiB, are left out, and named in `kest-left-out`. Its lineage stays in it: who reads that queue reads what the first one had.
 *
 * @param channel one with confirmations that is not wrapped, and for nothing else: where the queue is missing, the broker closes it
 * @returns an option `deadLetter`; it rejects unless the queue is there and the broker has taken the message
 */
export function deadLetterQueue(
  channel: ConfirmingChannel,
  queue: string,
): (refused: DeadLetter<AmqpMessage>) => Promise<void> {
  return async (refused) => {
    // What is sent to a queue that is not there, the broker confirms, and drops.
    await channel.checkQueue(queue)
    const { expiration: _, userId: __, ...properties } = refused.message.properties as Record<string, unknown>
    const { headers, ...kept } = writable(properties as Properties)
    const options = {
      ...kept,
      persistent: true,
      headers: { ...headers, ...deadLetterHeaders(refused) },
    }
    await new Promise<void>((resolve, reject) => {
      const onConfirm = (error: unknown): void => (error ? reject(error) : resolve())
      channel.sendToQueue(queue, refused.message.content, options as never, onConfirm as never)
    })
  }
}
