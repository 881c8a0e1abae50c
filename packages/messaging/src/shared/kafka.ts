import type { InboundMessage } from '@kest/core'

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
