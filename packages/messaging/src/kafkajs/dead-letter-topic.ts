import { types } from 'node:util'
import { deadLetterHeaders } from '../shared/dead-letter-headers.js'
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
 * was read). A header without a value has an empty one there, as kafkajs reads those and cannot write them. Its lineage stays in it: who reads that topic reads what the first one had.
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
    const letter = { key, value, headers: { ...writable(headers), ...deadLetterHeaders(refused) } }
    return producer.send({ topic, messages: [letter] } as never)
  }
}

/** kafkajs reads `null`, and beside a header `constructor` what objects inherit by that name; it writes text and bytes. */
function writable(headers: KafkajsMessage['headers'] = {}): Record<string, unknown> {
  const written = (value: unknown): unknown => value ?? Buffer.alloc(0)
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map(written).filter(isWritable) : written(value),
  ])
  return Object.fromEntries(entries)
}

function isWritable(value: unknown): boolean {
  return typeof value === 'string' || types.isUint8Array(value)
}
