import type { CarrierHeaders, InboundMessage } from '@kest/core'
import type { Wrapped } from '../shared/options.js'
import type { JetStreamMessage, NatsMessage } from './types.js'

export const SCHEME = 'nats'

export function isOfStream(message: NatsMessage): message is JetStreamMessage {
  const { nak, term } = message as Partial<JetStreamMessage>
  return typeof nak === 'function' && typeof term === 'function'
}

/** As Kest sees it. A stream counts deliveries, and its numbers stay. */
export function inboundOf(message: NatsMessage, { uriOf }: Pick<Wrapped, 'uriOf'>): InboundMessage {
  const { subject, data, headers = {} } = message
  const read = { headers: headers as CarrierHeaders, body: data, from: uriOf(subject) }
  if (!isOfStream(message)) return read
  const { stream, streamSequence, deliveryCount, redeliveryCount } = message.info
  const count = deliveryCount ?? redeliveryCount
  const id = `${encodeURIComponent(stream)}:${streamSequence}`
  return { ...read, delivery: { id, ...(count !== undefined && { count }) } }
}

/** Before a handler gets it, which may hand on what it has read. */
export function takeLineageOut({ headers }: NatsMessage, { messages }: Pick<Wrapped, 'messages'>): void {
  if (headers !== undefined) messages.strip(headers)
}
