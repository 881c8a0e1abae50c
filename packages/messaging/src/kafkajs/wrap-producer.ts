import { SCHEME } from '../shared/kafka.js'
import { type ProducerOptions, toProducer, type Wrapped } from '../shared/options.js'
import { override } from '../shared/override.js'
import { inTurn, Turns } from '../shared/turns.js'
import type { KafkajsProducer, KafkajsSender, OutgoingMessage } from './types.js'

interface TopicMessages {
  readonly topic: string
  readonly messages: readonly OutgoingMessage[]
}

/**
 * A producer of kafkajs whose messages carry the passport to the topics that are told of (`propagateTo`); from messages to any
 * other every `kest.*` member is removed. `send`, `sendBatch` and those of its transactions; all else is the producer's own. What is
 * given to it is not changed. They are handed to it in the order of the calls.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing. `send` rejects with what `Messages.send` does: then
 *   nothing was sent
 *
 * @example
 * ```ts
 * const producer = wrapProducer(kafka.producer({ idempotent: true }), { propagateTo: ['payments'], binding: 'message' })
 * await producer.send({ topic: 'payments', messages: [{ value: JSON.stringify(payment) }] })
 * ```
 */
export function wrapProducer<P extends KafkajsProducer>(producer: P, options: ProducerOptions): P {
  const wrapped = toProducer('wrapProducer', SCHEME, options)
  return override(producer, {
    ...senderOf(producer, wrapped),
    transaction: async () => {
      const transaction = await producer.transaction()
      return override(transaction, senderOf(transaction, wrapped))
    },
  })
}

function senderOf(sender: KafkajsSender, wrapped: Wrapped) {
  const turns = new Turns()
  return {
    send: (record: TopicMessages) =>
      inTurn(turns, carrying(record, wrapped), (carried) => sender.send(carried as never)),
    sendBatch: (batch: { readonly topicMessages?: readonly TopicMessages[] }) => {
      const { topicMessages = [] } = batch
      const all = Promise.all(topicMessages.map((one) => carrying(one, wrapped)))
      return inTurn(turns, all, (carried) => sender.sendBatch({ ...batch, topicMessages: carried } as never))
    },
  }
}

async function carrying<T extends TopicMessages>(record: T, { messages, uriOf }: Wrapped): Promise<T> {
  const to = uriOf(record.topic)
  const carried = await Promise.all(
    record.messages.map(async (message) => ({
      ...message,
      headers: await messages.send({ headers: { ...message.headers }, body: message.value, to }),
    })),
  )
  return { ...record, messages: carried }
}
