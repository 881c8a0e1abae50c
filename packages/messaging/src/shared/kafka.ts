import type { InboundMessage } from '@kest/core'
import type { DeadLetter } from './options.js'

/** Where a record is, as both libraries have it. */
export interface KafkaRecord {
  readonly partition: number
  readonly offset: string | bigint
}

export const SCHEME = 'kafka'

/** Kafka counts no deliveries; what is delivered again has the place that it had. */
export function placeOf({ partition, offset }: KafkaRecord): NonNullable<InboundMessage['delivery']> {
  return { id: `${partition}:${offset}` }
}

/** What a dead letter has beside the headers that the message had. */
export function deadLetterHeaders({
  code,
  from,
}: Pick<DeadLetter<unknown>, 'code' | 'from'>): Record<string, string> {
  return { 'kest-error': code, 'kest-source': from }
}
