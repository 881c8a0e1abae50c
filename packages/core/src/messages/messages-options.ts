import type { RouteOperationOptions } from '../adapter/route-operations.js'
import { KestConfigError } from '../errors.js'
import type { MessageListenerOptions } from '../ingress/listener-options.js'
import type { InboundMessage } from './message.js'
import type { MessageScope } from './message-scope.js'

/** What handling a message is: the policy, and whatever else an operation may be given, as such or as a function of the message. */
export type MessageOperation = RouteOperationOptions<[message: InboundMessage]>

/** What handling several messages at once is. Who acts in it is what they agree on. */
export type BatchOperation = Omit<
  RouteOperationOptions<[messages: readonly InboundMessage[]]>,
  'user' | 'agent' | 'task'
>

/** How messages are judged, handled and sent. Every default is the strict one. */
export interface MessagesOptions extends MessageListenerOptions {
  /**
   * What handling a message is, for all queues and topics or by the URI of each; its name is `receive <URI>`, or what `pattern` makes
   * of it. Needed where messages
   * are received: without it they are only sent, and nothing else but `propagateTo`, `binding` and `maxAgeMs` means anything.
   */
  readonly operation?: MessageOperation | ((from: string) => MessageOperation) | undefined
  /**
   * What handling several at once is (`receive batch <URI>`). Default: the policy and the classification of `operation`, whose
   * context then names nobody unless all messages agree.
   */
  readonly batch?: BatchOperation | ((from: string) => BatchOperation) | undefined
  /**
   * What operations call the place where a message was read, of its URI; `operation` and `batch` are asked by it, too. Names of
   * operations must be few: where those of places hold ids, as subjects of NATS may, this answers what they have in common.
   * Default: the URI itself.
   */
  readonly pattern?: ((from: string) => string) | undefined
  /** Queues and topics whose messages carry the passport (K-SCOPE). Default: none. */
  readonly propagateTo?: MessageScope | undefined
  /**
   * Oldest tip, and oldest message, that is accepted, and how long what is sent is good for: a message may wait for its reader, and
   * a claim check as long. Default 86,400,000 (24 hours).
   */
  readonly maxAgeMs?: number | undefined
}

/** {@link MessagesOptions}, each where it belongs. */
export interface SplitMessagesOptions {
  readonly operation: MessagesOptions['operation']
  readonly batch: MessagesOptions['batch']
  readonly pattern: MessagesOptions['pattern']
  readonly propagateTo: MessagesOptions['propagateTo']
  /** Of what is sent. */
  readonly binding: 'none' | 'message'
  readonly maxAgeMs: number
  /** `null`: nothing is received. */
  readonly listener: MessageListenerOptions | null
}

/** What means something where nothing is received. */
const SENDING: readonly (keyof MessagesOptions)[] = ['propagateTo', 'binding', 'maxAgeMs']

const DEFAULT_MAX_AGE_MS = 86_400_000

/** @throws {KestConfigError} for what listeners do not check themselves */
export function splitMessagesOptions(options: MessagesOptions): SplitMessagesOptions {
  if (typeof options !== 'object' || options === null)
    throw new KestConfigError('messages: expected an object of options')
  const { operation, batch, pattern, propagateTo, ...rules } = options
  const { binding = 'none', maxAgeMs = DEFAULT_MAX_AGE_MS, maxStateMs = maxAgeMs, ...rest } = rules
  if (binding !== 'none' && binding !== 'message')
    throw new KestConfigError('messages.binding: expected one of none, message')
  if (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < 1)
    throw new KestConfigError('messages.maxAgeMs: expected a number of milliseconds, an integer from 1')
  if (operation === undefined) {
    const known: readonly string[] = ['operation', ...SENDING]
    const idle = Object.keys(options).find((name) => !known.includes(name))
    if (idle !== undefined)
      throw new KestConfigError(
        `messages: unknown option "${idle}", or one of receiving, which needs an operation; of sending there are: ${SENDING.join(', ')}`,
      )
    return { operation, batch, pattern, propagateTo, binding, maxAgeMs, listener: null }
  }
  const isEdge = options.origin !== undefined && options.acceptLineage !== true
  // What an edge receives is bound by nothing; what it sends may be.
  const listener = isEdge ? { ...rest, maxStateMs } : { ...rest, binding, maxAgeMs, maxStateMs }
  return { operation, batch, pattern, propagateTo, binding, maxAgeMs, listener }
}
