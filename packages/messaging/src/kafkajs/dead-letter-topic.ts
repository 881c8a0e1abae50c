import { deadLetterHeaders } from '../shared/kafka.js'
import type { DeadLetter } from '../shared/options.js'
import type { KafkajsMessage, KafkajsSender } from './types.js'

/** A record that is refused: where it was, and what it was. */
export interface RefusedRecord {
  readonly topic: string
  readonly partition: number
  readonly message: KafkajsMessage
}

/**
 * Puts refused messages on a topic: key, value and headers as they came, with `kest-error` (the code) and `kest-source` (where it
 * was read). Its lineage stays in it: who reads that topic reads what the first one had.
 *
 * @param producer one that is connected, and not wrapped
 * @returns an option `deadLetter`; it rejects as the producer does, and then the message is not acknowledged
 *
 * @example
 * ```ts
 * wrapConsumer(consumer, { operation: { policy: 'orders/handle' }, deadLetter: deadLetterTopic(producer, 'orders.dead') })
 * ```
 */
export function deadLetterTopic(
  producer: Pick<KafkajsSender, 'send'>,
  topic: string,
): (refused: DeadLetter<RefusedRecord>) => Promise<unknown> {
  return (refused) => {
    const { key, value, headers } = refused.message.message
    const letter = { key, value, headers: { ...headers, ...deadLetterHeaders(refused) } }
    return producer.send({ topic, messages: [letter] } as never)
  }
}
