import { deadLetterHeaders } from '../shared/dead-letter-headers.js'
import type { DeadLetter } from '../shared/options.js'
import { assertHeaderType, copyOf, type HeaderType, writtenHeaders } from './headers.js'
import type { KafkaMessage, KafkaSender } from './types.js'

/**
 * Puts refused messages on a topic: key, value and headers as they came, with `kest-error` (the code) and `kest-source` (where it
 * was read). Its lineage stays in it: who reads that topic reads what the first one had. Of a header that is there twice one stays.
 *
 * @param producer not a wrapped one
 * @param headers what it takes for headers, and for keys and values: as the consumer gives them
 * @returns an option `deadLetter`; it rejects as the producer does, and then the message is not acknowledged
 */
export function deadLetterTopic(
  producer: KafkaSender,
  topic: string,
  headers: HeaderType = 'bytes',
): (refused: DeadLetter<KafkaMessage>) => Promise<unknown> {
  assertHeaderType('deadLetterTopic', headers)
  return (refused) => {
    const { key, value, headers: had } = refused.message
    const all = new Map([...copyOf(had), ...Object.entries(deadLetterHeaders(refused))])
    const letter = { topic, key, value, headers: writtenHeaders(all, headers) }
    return producer.send({ messages: [letter] } as never)
  }
}
