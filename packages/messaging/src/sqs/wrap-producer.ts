import { KestConfigError } from '@kest/core'
import { type ProducerOptions, toProducer, type Wrapped } from '../shared/options.js'
import { headersOf, queueOf, SCHEME, withBaggage } from './attributes.js'
import type { SqsClient, SqsEntry, SqsInput, SqsMiddleware } from './types.js'

export interface SqsProducerOptions extends ProducerOptions {
  /**
   * Where queues are: a URL of any other origin gets nothing of Kest's, whatever queue it names. Default: the origin of a URL is not looked
   * at; the SDK sends to whatever it names.
   */
  readonly origins?: readonly string[] | undefined
}

/** Where a message goes, and whether its URL leads to where queues are. */
interface Sending extends Wrapped {
  isNamed(queueUrl: string | undefined): boolean
}

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
export function wrapProducer<C extends SqsClient>(client: C, options: SqsProducerOptions): C {
  const { origins, ...rest } = options ?? {}
  const isNamed = namedBy('wrapProducer', origins)
  const wrapped = { ...toProducer('wrapProducer', SCHEME, rest as ProducerOptions), isNamed }
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
  { messages, uriOf, isNamed }: Sending,
): Promise<E> {
  const { MessageAttributes: attributes, MessageBody: body = '' } = entry
  const headers = headersOf(attributes)
  if (isNamed(queueUrl)) await messages.send({ headers, body, to: uriOf(...queueOf(queueUrl)) })
  else messages.strip(headers)
  const carried = withBaggage(attributes, headers)
  return attributes === undefined && Object.keys(carried).length === 0
    ? entry
    : { ...entry, MessageAttributes: carried }
}

/** @throws {KestConfigError} for what is no list of origins */
function namedBy(where: string, origins: unknown): Sending['isNamed'] {
  if (origins === undefined) return () => true
  if (!Array.isArray(origins) || !origins.every(isOrigin))
    throw new KestConfigError(
      `${where}.origins: expected a list of origins, such as https://sqs.eu-west-1.amazonaws.com`,
    )
  const named = new Set<string>(origins)
  return (queueUrl = '') => URL.canParse(queueUrl) && named.has(new URL(queueUrl).origin)
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value
}
