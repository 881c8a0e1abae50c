import { type InboundMessage, KestConfigError } from '@kest/core'
import { deliver } from '../shared/deliver.js'
import { type ConsumerOptions, toConsumer } from '../shared/options.js'
import { headersOf, queueOf, SCHEME, withBaggage } from './attributes.js'
import type { SqsClient, SqsMessage, SqsMiddleware } from './types.js'

const COUNT = 'ApproximateReceiveCount'
const ALL = new Set(['All', '.*'])

/** Makes a handler of messages of a queue. */
export type SqsHandlers = <M extends SqsMessage, T>(
  queueUrl: string,
  handler: (message: M) => T,
) => (message: M) => Promise<Awaited<T> | undefined>

/**
 * Has a client of the AWS SDK ask for what is needed with every `ReceiveMessage` (SQS gives the attributes that it is asked for by name),
 * and answers what makes a handler: it runs yours in an operation, in a frame of its own, and shows it the message without `kest.*`.
 *
 * Where the handler answers, delete the message: it was handled, or was refused for what it is and is with the dead letters (then the
 * answer is `undefined`). Where it rejects, do not: nothing could be said about it, or your handler has failed. SQS then delivers it again
 * when its visibility time-out is over, and counts that (`maxReceiveCount` of a redrive policy counts an outage, too).
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 *
 * @example
 * ```ts
 * const handlerOf = wrapConsumer(client, {
 *   operation: { policy: 'payments/handle' },
 *   binding: 'message',
 *   deadLetter: deadLetterQueue((letter) => client.send(new SendMessageCommand({ QueueUrl: deadUrl, ...letter }))),
 * })
 * const handle = handlerOf(QueueUrl, async (message: Message) => charge(JSON.parse(message.Body ?? '')))
 * const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }))
 * for (const message of Messages) {
 *   await handle(message)
 *   await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }))
 * }
 * ```
 */
export function wrapConsumer(client: SqsClient, options: ConsumerOptions<SqsMessage>): SqsHandlers {
  const wrapped = toConsumer('wrapConsumer', SCHEME, options)
  const { messages } = wrapped
  client.middlewareStack.add(
    asking(messages.reads) as never,
    { step: 'initialize', name: 'kestConsumer' } as never,
  )
  return <M extends SqsMessage, T>(queueUrl: string, handler: (message: M) => T) => {
    const from = wrapped.uriOf(...queueOf(queueUrl))
    return async (message: M): Promise<Awaited<T> | undefined> => {
      const outcome = await deliver(wrapped, inboundOf(message, from), message, () => {
        const { MessageAttributes: attributes } = message
        const headers = headersOf(attributes)
        const clean = messages.strip({ ...headers })
        // What carries nothing of Kest's stays what it was, its type too.
        if (Object.entries(headers).every(([name, value]) => clean[name] === value)) return handler(message)
        return handler({ ...message, MessageAttributes: withBaggage(attributes, clean) })
      })
      return outcome.handled ? outcome.value : undefined
    }
  }
}

function asking(names: readonly string[]): SqsMiddleware {
  return (next, { commandName }) =>
    (args) => {
      if (commandName !== 'ReceiveMessageCommand') return next(args)
      const { MessageAttributeNames: asked = [], MessageSystemAttributeNames: system = [] } = args.input
      const input = {
        ...args.input,
        MessageAttributeNames: asked.some((name) => ALL.has(name))
          ? asked
          : [...new Set([...asked, ...names])],
        MessageSystemAttributeNames: system.includes('All') ? system : [...new Set([...system, COUNT])],
      }
      return next({ ...args, input })
    }
}

function inboundOf(
  { MessageId, Body, Attributes, MessageAttributes }: SqsMessage,
  from: string,
): InboundMessage {
  const count = Number(Attributes?.[COUNT])
  // One that was read by another client has not been asked for its lineage, and must not be refused for having none.
  if (!Number.isSafeInteger(count) || count < 1)
    throw new KestConfigError(
      `wrapConsumer: the message has no ${COUNT}: receive it by the client that was given`,
    )
  return {
    headers: headersOf(MessageAttributes),
    body: Body ?? '',
    from,
    delivery: { count, ...(MessageId !== undefined && { id: MessageId }) },
  }
}
