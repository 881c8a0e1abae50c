import { KestConfigError } from '@kest/core'
import { SCHEME } from '../shared/kafka.js'
import { type ProducerOptions, toProducer, type Wrapped } from '../shared/options.js'
import { override } from '../shared/override.js'
import { inTurn, Turns } from '../shared/turns.js'
import { assertHeaderType, bodyOf, copyOf, type HeaderType, writtenHeaders } from './headers.js'
import type { KafkaProducer, KafkaSender, SendOptions } from './types.js'

export interface KafkaProducerOptions extends ProducerOptions {
  /** What the producer takes for headers: `bytes` (default), where it has no serializers, or `text`. */
  readonly headers?: HeaderType | undefined
}

interface Sending extends Wrapped {
  readonly headers: HeaderType
}

/**
 * A producer of `@platformatic/kafka` whose messages carry the passport to the topics that are told of (`propagateTo`); from
 * messages to any other every `kest.*` member is removed. `send`, by promise or callback, and that of its transactions; `asStream`
 * is refused. They are handed to it in the order of the calls. All else is the producer's own, and what is given to it is not changed. Values are bytes or text.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing. `send` rejects with what `Messages.send` does: then
 *   nothing was sent
 *
 * @example
 * ```ts
 * const producer = wrapProducer(new Producer({ clientId, bootstrapBrokers, idempotent: true }), { propagateTo: ['payments'] })
 * await producer.send({ messages: [{ topic: 'payments', value: Buffer.from(JSON.stringify(payment)) }] })
 * ```
 */
export function wrapProducer<P extends KafkaProducer>(producer: P, options: KafkaProducerOptions): P {
  const { headers = 'bytes', ...rest } = options ?? {}
  const wrapped = toProducer('wrapProducer', SCHEME, rest as ProducerOptions)
  assertHeaderType('wrapProducer', headers)
  const sending = { ...wrapped, headers }
  return override(producer, {
    send: sendOf(producer, sending),
    beginTransaction: async (transactionOptions?: never) => {
      const transaction = (await producer.beginTransaction?.(transactionOptions)) as KafkaSender
      return override(transaction, { send: sendOf(transaction, sending) })
    },
    asStream: () => {
      throw new KestConfigError('wrapProducer: what is written to a stream would carry no passport: use send')
    },
  })
}

type Callback = (error: unknown, result?: unknown) => void

function sendOf(sender: KafkaSender, sending: Sending) {
  const turns = new Turns()
  return (options: SendOptions, callback?: Callback): Promise<unknown> | undefined => {
    const sent = inTurn(turns, carrying(options, sending), (carried) => sender.send(carried as never))
    if (callback === undefined) return sent
    sent.then((result) => callback(null, result), callback)
    return undefined
  }
}

async function carrying<T extends SendOptions>(
  options: T,
  { messages, uriOf, headers: type }: Sending,
): Promise<T> {
  const carried = options.messages.map(async (message) => {
    const body = bodyOf('send', message.value)
    const headers = await messages.send({ headers: copyOf(message.headers), body, to: uriOf(message.topic) })
    return { ...message, headers: writtenHeaders(headers, type) }
  })
  return { ...options, messages: await Promise.all(carried) }
}
