import { types } from 'node:util'
import { assertOptions } from '../assert-options.js'
import type { KestState } from '../context/state.js'
import { KestConfigError } from '../errors.js'
import type { CarrierHeaders, InjectableHeaders } from '../propagation/headers.js'

/** The very bytes that travel (of text: its UTF-8); `null` where there is none, as of what deletes a key from a compacted topic. */
export type MessageBody = string | Uint8Array | null

/** What a broker says of a delivery. */
export interface BrokerDelivery {
  /** Which delivery of the message it is, from 1, where the broker counts: label `kest.delivery`. */
  readonly count?: number | undefined
  /** Whether the broker marks it as delivered again; a `count` above 1 says so, too. Default `false`. */
  readonly redelivered?: boolean | undefined
  /**
   * Where the broker names the place of a message for good, such as partition and offset, or a sequence: label `kest.place`. What is
   * delivered again has the same, and what somebody wrote a second time has another. 1 to 256 printable characters of ASCII.
   */
  readonly id?: string | undefined
}

/** A message that was read. */
export interface InboundMessage {
  /** Not changed. Bytes are read as UTF-8, names in any case. */
  readonly headers: CarrierHeaders
  /** Other places where lineage may be (K-CARRIER). Default: none. */
  readonly also?: readonly CarrierHeaders[] | undefined
  readonly body: MessageBody
  /** URI of the queue or topic that it was read from. */
  readonly from: string
  readonly delivery?: BrokerDelivery | undefined
  /** Aborts when nobody waits for it any more: then its operation does not begin. */
  readonly signal?: AbortSignal | undefined
}

/** A message that is about to be sent. */
export interface OutboundMessage<H extends InjectableHeaders> {
  /** Its `baggage` is set, replaced or removed here. */
  readonly headers: H
  readonly body: MessageBody
  /** URI of the queue or topic. */
  readonly to: string
  /** Whose passport; default: that of the ambient state. */
  readonly state?: KestState | undefined
}

/** What a listener is told of a message, to check its token by (K-MESSAGE). */
export interface MessageEvidence {
  readonly body: MessageBody
  readonly from: string
  readonly delivery: BrokerDelivery
}

/** What the entry of a delivery says of its message (K-MESSAGE). */
export interface MessageRecord {
  /** The `jti` of its token, where that was verified. */
  readonly id: string | null
  readonly delivery: BrokerDelivery
}

const PLACE = /^[\x20-\x7e]{1,256}$/
const NO_DELIVERY: BrokerDelivery = Object.freeze({})

const INBOUND: ReadonlySet<string> = new Set<keyof InboundMessage>([
  'headers',
  'also',
  'body',
  'from',
  'delivery',
  'signal',
])
const OUTBOUND: ReadonlySet<string> = new Set<keyof OutboundMessage<never>>([
  'headers',
  'body',
  'to',
  'state',
])
const DELIVERY: ReadonlySet<string> = new Set<keyof BrokerDelivery>(['count', 'redelivered', 'id'])

/** @throws {KestConfigError} for what is not of the form of {@link InboundMessage} */
export function evidenceOf(message: InboundMessage): MessageEvidence {
  assertOptions('messages.receive', message, INBOUND)
  const { body, from, delivery = NO_DELIVERY } = message
  assertDestination('from', from)
  assertBody(body)
  assertOptions('message.delivery', delivery, DELIVERY)
  const { count, redelivered, id } = delivery
  if (count !== undefined && !(Number.isSafeInteger(count) && count >= 1))
    throw new KestConfigError(`message.delivery.count: expected an integer from 1, got ${String(count)}`)
  if (redelivered !== undefined && typeof redelivered !== 'boolean')
    throw new KestConfigError('message.delivery.redelivered: expected a boolean')
  if (id !== undefined && !(typeof id === 'string' && PLACE.test(id)))
    throw new KestConfigError('message.delivery.id: expected 1 to 256 printable characters of ASCII')
  return { body, from, delivery }
}

export function recordOf({ delivery }: MessageEvidence, messageId: string | undefined): MessageRecord {
  return { id: messageId ?? null, delivery }
}

/** @throws {KestConfigError} for what is not of the form of {@link OutboundMessage} */
export function assertOutbound(message: OutboundMessage<InjectableHeaders>): void {
  assertOptions('messages.send', message, OUTBOUND)
  assertDestination('to', message.to)
  assertBody(message.body)
}

/** @throws {KestConfigError} */
function assertBody(body: unknown): asserts body is MessageBody {
  if (body === null || typeof body === 'string' || types.isUint8Array(body)) return
  throw new KestConfigError(
    `message.body: expected text, bytes or null, got ${typeof body}; of an object the text that is sent`,
  )
}

/** @throws {KestConfigError} */
function assertDestination(what: string, uri: unknown): asserts uri is string {
  if (typeof uri === 'string' && uri !== '') return
  throw new KestConfigError(`message.${what}: expected the URI of a queue or topic, got ${typeof uri}`)
}
