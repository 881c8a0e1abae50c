import type { CarrierHeaders, InboundMessage } from '@kest/core'
import type { Wrapped } from '../shared/options.js'
import type { AmqpMessage } from './types.js'

export const SCHEME = 'amqp'

type Headers = Record<string, string>

/**
 * As Kest sees it. RabbitMQ marks what it delivers again and does not count: `x-delivery-count` of quorum queues is a header, which
 * any sender can write.
 */
export function inboundOf({ content, fields, properties }: AmqpMessage, from: string): InboundMessage {
  return {
    // Listed, as a sender's "__proto__" makes another object of what amqplib has decoded.
    headers: Object.entries(properties.headers ?? {}) as CarrierHeaders,
    body: content,
    from,
    delivery: { redelivered: fields.redelivered },
  }
}

/** What a handler gets: it may hand on what it has read, and acknowledges this as it would the other. */
export function withoutLineage<M extends AmqpMessage>(
  message: M,
  { messages }: Pick<Wrapped, 'messages'>,
): M {
  const { properties } = message
  if (properties.headers === undefined) return message
  const headers = messages.strip({ ...properties.headers } as Headers)
  return { ...message, properties: { ...properties, headers } }
}
