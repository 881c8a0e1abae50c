import { KestConfigError } from '@kest/core'
import { type ProducerOptions, toProducer } from '../shared/options.js'
import { override } from '../shared/override.js'
import { Turns } from '../shared/turns.js'
import { SCHEME } from './message.js'
import type { KestSender, NatsHeaders, NatsSender } from './types.js'

export interface NatsProducerOptions extends ProducerOptions {
  /** The function of that name of the client's package (`headers` of `nats`, or of `@nats-io/transport-node`). */
  readonly headers: () => NatsHeaders
}

interface PublishOptions {
  readonly headers?: NatsHeaders | undefined
}

type Payload = string | Uint8Array | undefined
type Send = (subject: string, payload?: Payload, options?: PublishOptions) => unknown

/**
 * A connection of NATS, or a client of its JetStream, whose messages carry the passport to the subjects that are told of
 * (`propagateTo`); from messages to any other every `kest.*` member is removed. `publish`, which answers a promise as they are signed first, and
 * `request`; messages leave in the order of the calls. All else is its own: `respond` and `publishMessage` send what they are given.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing. `publish` rejects with what `Messages.send` does: then
 *   nothing was sent
 *
 * @example
 * ```ts
 * const stream = wrapProducer(jetstream(connection), { headers, propagateTo: ['payments.new'], binding: 'message' })
 * await stream.publish('payments.new', JSON.stringify(payment))
 * ```
 */
export function wrapProducer<S extends NatsSender>(sender: S, options: NatsProducerOptions): KestSender<S> {
  const { headers: newHeaders, ...rest } = options ?? {}
  if (typeof newHeaders !== 'function')
    throw new KestConfigError(
      'wrapProducer.headers: expected the function `headers` of the package of the client',
    )
  const { messages, uriOf } = toProducer('wrapProducer', SCHEME, rest as ProducerOptions)
  const turns = new Turns()

  async function send(method: Send, [subject, payload, given]: Parameters<Send>): Promise<unknown> {
    const turn = turns.take()
    try {
      const headers = newHeaders()
      for (const [name, values] of given?.headers ?? [])
        for (const value of values) headers.append(name, value)
      await messages.send({ headers, body: payload ?? '', to: uriOf(subject) })
      await turn.came
      const sent = Reflect.apply(method, sender, [subject, payload, carrying(given, headers)])
      turn.pass()
      return await sent
    } finally {
      turn.pass()
    }
  }

  return override(sender as unknown as KestSender<S>, {
    publish: (...args: Parameters<Send>) => send(sender.publish as unknown as Send, args),
    ...(sender.request && {
      request: (...args: Parameters<Send>) => send(sender.request as unknown as Send, args),
    }),
  })
}

/** Headers are a feature that a message without any must not ask for. */
function carrying(given: PublishOptions | undefined, headers: NatsHeaders): PublishOptions | undefined {
  const [first] = headers
  if (first !== undefined) return { ...given, headers }
  return given?.headers === undefined ? given : { ...given, headers: undefined }
}
