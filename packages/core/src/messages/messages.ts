import { assertOptions } from '../assert-options.js'
import { createMessageToken } from '../binding/message-token.js'
import { KestConfigError } from '../errors.js'
import { begin } from '../hook/begin.js'
import type { HookRuntime } from '../hook/runtime.js'
import type { IdentityProvider } from '../identity/provider.js'
import {
  createMessageListener,
  type InboundRequest,
  type ListenerDeps,
  type MessageListener,
} from '../ingress/listener.js'
import { MEMBER } from '../propagation/baggage-names.js'
import { type InjectableHeaders, inboundHeaders } from '../propagation/headers.js'
import { injectBaggage, stripHeaders } from '../propagation/inject.js'
import { type OutboundEvents, type SenderToken, writePassport } from '../propagation/passport-writer.js'
import { describeError } from '../telemetry/describe-error.js'
import { codeOf } from '../telemetry/failing.js'
import { oneLine } from '../telemetry/one-line.js'
import { admitBatch } from './admit-batch.js'
import { Delivery } from './delivery.js'
import { assertOutbound, evidenceOf, type InboundMessage, type OutboundMessage } from './message.js'
import { MessageOperations } from './message-operations.js'
import { compileMessageScope } from './message-scope.js'
import { type MessagesOptions, splitMessagesOptions } from './messages-options.js'
import { inContextOfMessage } from './otel-context.js'
import { ReceivedBatch } from './received-batch.js'
import { splitBatch } from './split-batch.js'

/** How messages were read that were read at once. */
export interface BatchReading {
  /**
   * Whether their order counts, as that of a partition: then what is behind one that is to be delivered again is not handled, so
   * that it can follow it. Default `false`.
   */
  readonly ordered?: boolean | undefined
}

/** Messages of queues, topics and jobs, with their lineage (K-MESSAGE). Made by `kest.messages`. */
export interface Messages {
  /** Whether messages may bring lineage. */
  readonly takesLineage: boolean
  /** Names of the headers that are looked at, in lower case: for brokers that are asked for them by name. */
  readonly reads: readonly string[]
  /**
   * Puts the passport on a message to a queue or topic that gets it, with `binding: 'message'` a token for this message as well;
   * from one to any other every `kest.*` member is removed.
   *
   * @returns the same headers, their `baggage` set, or removed when nothing is left of it
   * @throws {KestError} do not send it: `ERR_KEST_STATE_ENDED`, `ERR_KEST_TOO_LARGE`, `ERR_KEST_CACHE`, `ERR_KEST_IDENTITY`,
   *   `ERR_KEST_OUTBOUND`, `ERR_KEST_BAGGAGE` where there is a `baggage` that is no text; `ERR_KEST_CONFIG` for what has not the form
   */
  send<H extends InjectableHeaders>(message: OutboundMessage<H>): Promise<H>
  /**
   * Judges a message and decides its operation; nothing has run yet. Each delivery is an operation with an entry of its own, also
   * of a message that comes again.
   *
   * @throws {KestError} as `Listener.receive` and `kest.begin`: {@link dispositionOf} says what becomes of the message
   */
  receive(message: InboundMessage): Promise<Delivery>
  /**
   * Judges messages that were read at once, each by itself. Where one is to be delivered again, because nothing could be said about
   * it, the rest is not judged in vain: with the next of them it stops.
   *
   * Never throws for a message: see {@link ReceivedBatch.refused}.
   */
  receiveBatch(messages: readonly InboundMessage[], batch?: BatchReading): Promise<ReceivedBatch>
  /**
   * Takes the `kest.*` members out of headers, for the handler of a message, which may hand them on to anybody.
   * @returns the same headers
   * @throws {KestError} as {@link send} for headers
   */
  strip<H extends InjectableHeaders>(headers: H): H
}

/** A claim check outlives what it is for: clocks differ. */
const CLAIM_MARGIN_MS = 60_000

/** What messages work with (P8). */
export interface MessagesDeps extends OutboundEvents {
  readonly runtime: HookRuntime
  readonly listener: ListenerDeps
}

/** @throws {KestConfigError} for options that are unknown, wrong or missing */
export function createMessages(
  { runtime, listener: listenerDeps, ...events }: MessagesDeps,
  options: MessagesOptions,
): Messages {
  const { propagateTo, binding, maxAgeMs, listener: rules, ...handling } = splitMessagesOptions(options)
  const { clock, limits, logger, refusals } = runtime
  const listener = rules === null ? null : createMessageListener(listenerDeps, rules)
  const operations = new MessageOperations(handling, runtime.origins)
  const inScope = compileMessageScope(propagateTo)
  const isSigned = binding === 'message' && propagateTo !== undefined
  const sender = isSigned ? senderOf(runtime) : null
  const { propagation: known } = listenerDeps
  // What waits for its reader is to be found by him.
  const claimTtlMs = Math.max(known.claimTtlMs, maxAgeMs + CLAIM_MARGIN_MS)
  const propagation = Object.freeze({ ...known, claimTtlMs })

  const send: Messages['send'] = async (message) => {
    assertOutbound(message)
    const { headers, body, to, state } = message
    const token: SenderToken | null = sender && {
      identity: sender,
      identityTimeoutMs: runtime.identityTimeoutMs,
      key: MEMBER.message,
      sign: (signer, destination, tips, room) =>
        createMessageToken(signer, { to: destination, body, tips, now: clock.now(), maxAgeMs }, limits, room),
    }
    const destination = { name: to, what: 'message', inScope: inScope(to), token }
    return injectBaggage(headers, (lines) =>
      writePassport(lines, destination, state, propagation, { logger, ...events }),
    )
  }

  /** What the listener judges; what cannot be read is on record like what it refuses. */
  function requestOf(message: InboundMessage, { reads }: MessageListener): InboundRequest {
    const { from, delivery, signal } = message
    const evidence = evidenceOf(message)
    const about = () => ({
      method: 'RECEIVE',
      route: oneLine(from, 200),
      ...(delivery?.id !== undefined && { request_id: delivery.id }),
    })
    const read = (headers: InboundMessage['headers']) => inboundHeaders('messages.receive', headers, reads)
    try {
      const places = { headers: read(message.headers), also: message.also?.map(read) }
      return { ...places, message: evidence, signal, about }
    } catch (error) {
      refusals.refused({ code: codeOf(error), message: 'inbound message refused' }, () => ({
        ...about(),
        err: describeError(error),
      }))
      throw error
    }
  }

  const receive: Messages['receive'] = (message) =>
    inContextOfMessage(async () => {
      const definition = operations.of(message.from)
      // Without a listener there is no operation, which has been said by now.
      const reader = listener as MessageListener
      const state = await reader.receive(requestOf(message, reader))
      try {
        return new Delivery(message, await begin(runtime, definition, { state, args: [message] }), state)
      } catch (error) {
        state.lifetime.end()
        throw error
      }
    })

  return Object.freeze({
    takesLineage: listener?.takesLineage ?? false,
    reads: listener?.reads ?? [],
    send,
    receive,
    receiveBatch: async (messages: readonly InboundMessage[], batch: BatchReading = {}) => {
      assertOptions('messages.receiveBatch', batch, ['ordered'])
      const { deliveries, refused } = await admitBatch(messages, receive, batch.ordered ?? false)
      const parts = splitBatch(deliveries, limits, propagation.cache !== null)
      return new ReceivedBatch(deliveries, refused, parts, { runtime, operations })
    },
    strip: stripHeaders,
  })
}

function senderOf({ identity }: HookRuntime): IdentityProvider {
  if (identity !== null) return identity
  throw new KestConfigError(
    'messages.binding: a message token is signed, and no identity is configured (K-MESSAGE)',
  )
}
