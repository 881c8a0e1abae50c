import { type ProducerOptions, toProducer, type Wrapped } from '../shared/options.js'
import { headersOf, queueOf, SCHEME, withBaggage } from './attributes.js'
import type { SqsClient, SqsEntry, SqsInput, SqsMiddleware } from './types.js'

/**
 * Puts the passport on the messages that a client of the AWS SDK sends (`SendMessage`, `SendMessageBatch`) to the queues that are told of
 * (`propagateTo`: `[account, name]`, which a queue's URL ends with); from messages to any other every `kest.*` member is removed. It uses
 * one attribute, `baggage`, of the ten that SQS takes.
 *
 * A middleware of the client, and so of whatever uses it; what commands are given is not changed. Do so once.
 *
 * @returns the client
 * @throws {KestConfigError} for options that are unknown, wrong or missing. `send` rejects with what `Messages.send` does, and with
 *   `ERR_KEST_TOO_LARGE` where a message has ten attributes already: then nothing was sent
 *
 * @example
 * ```ts
 * const client = wrapProducer(new SQSClient({}), { propagateTo: [['123456789012', 'payments']], binding: 'message' })
 * await client.send(new SendMessageCommand({ QueueUrl, MessageBody }))
 * ```
 */
export function wrapProducer<C extends SqsClient>(client: C, options: ProducerOptions): C {
  const wrapped = toProducer('wrapProducer', SCHEME, options)
  const middleware: SqsMiddleware =
    (next, { commandName }) =>
    async (args) => {
      const { input } = args
      if (commandName === 'SendMessageCommand')
        return next({ ...args, input: await carrying(input, input.QueueUrl, wrapped) })
      if (commandName !== 'SendMessageBatchCommand') return next(args)
      const entries = (input.Entries ?? []).map((entry) => carrying(entry, input.QueueUrl, wrapped))
      return next({ ...args, input: { ...input, Entries: await Promise.all(entries) } satisfies SqsInput })
    }
  client.middlewareStack.add(middleware as never, { step: 'initialize', name: 'kestProducer' } as never)
  return client
}

async function carrying<E extends SqsEntry>(
  entry: E,
  queueUrl: string | undefined,
  { messages, uriOf }: Wrapped,
): Promise<E> {
  const { MessageAttributes: attributes, MessageBody: body = '' } = entry
  const headers = await messages.send({
    headers: headersOf(attributes),
    body,
    to: uriOf(...queueOf(queueUrl)),
  })
  const carried = withBaggage(attributes, headers)
  return attributes === undefined && Object.keys(carried).length === 0
    ? entry
    : { ...entry, MessageAttributes: carried }
}
