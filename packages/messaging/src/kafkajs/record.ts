import type { InboundMessage } from '@kest/core'
import { placeOf } from '../shared/kafka.js'
import type { Wrapped } from '../shared/options.js'
import type { EachMessagePayload, KafkajsMessage } from './types.js'

/** As Kest sees it. */
export function inboundOf(
  { topic, partition, message }: EachMessagePayload,
  { uriOf }: Pick<Wrapped, 'uriOf'>,
): InboundMessage {
  const { headers = {}, value, offset } = message
  return { headers, body: value, from: uriOf(topic), delivery: placeOf({ partition, offset }) }
}

/** What a handler gets: it may hand on what it has read. */
export function withoutLineage(
  message: KafkajsMessage,
  { messages }: Pick<Wrapped, 'messages'>,
): KafkajsMessage {
  const { headers } = message
  return headers === undefined ? message : { ...message, headers: messages.strip({ ...headers }) }
}
