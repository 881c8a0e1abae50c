import { type CarrierHeaders, type InboundMessage, KestError } from '@kest/core'
import type { Wrapped } from '../shared/options.js'
import type { JetStreamMessage, NatsMessage } from './types.js'

export const SCHEME = 'nats'

export function isOfStream(message: NatsMessage): message is JetStreamMessage {
  const { nak, term } = message as Partial<JetStreamMessage>
  return typeof nak === 'function' && typeof term === 'function'
}

/**
 * As Kest sees it. A stream counts deliveries, and its numbers stay.
 *
 * @param arrival names what NATS itself delivers, once and without a number: judged again, it is the same
 */
export function inboundOf(
  message: NatsMessage,
  arrival: string,
  { uriOf }: Pick<Wrapped, 'uriOf'>,
): InboundMessage {
  const { subject, data } = message
  const read = { headers: headersOf(message), body: data, from: uriOf(subject) }
  if (!isOfStream(message)) return { ...read, delivery: { id: arrival } }
  const { stream, streamSequence, deliveryCount, redeliveryCount } = message.info
  const count = deliveryCount ?? redeliveryCount
  const id = `${encodeURIComponent(stream)}:${streamSequence}`
  return { ...read, delivery: { id, ...(count !== undefined && { count }) } }
}

/** The client reads them when they are asked for, and throws for what no client would have written: anybody can send that. */
function headersOf(message: NatsMessage): CarrierHeaders {
  return {
    *[Symbol.iterator]() {
      try {
        yield* message.headers ?? []
      } catch (cause) {
        throw new KestError('ERR_KEST_BAGGAGE', 'the headers of the message cannot be read', { cause })
      }
    },
  }
}

/** Before a handler gets it, which may hand on what it has read. */
export function takeLineageOut({ headers }: NatsMessage, { messages }: Pick<Wrapped, 'messages'>): void {
  if (headers !== undefined) messages.strip(headers)
}
