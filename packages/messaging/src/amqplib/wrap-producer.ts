import { carriesPassport, KestConfigError } from '@kest/core'
import { type ProducerOptions, toProducer } from '../shared/options.js'
import { override } from '../shared/override.js'
import { Turns } from '../shared/turns.js'
import { SCHEME } from './message.js'
import type { AmqpPublisher, KestPublisher, PublishOptions } from './types.js'

type Publish = (
  exchange: string,
  routingKey: string,
  content: Buffer,
  options?: object,
  onConfirm?: (error: unknown) => void,
) => boolean

/**
 * A channel of amqplib whose messages carry the passport to the queues and exchanges that are told of (`propagateTo`: a queue by its
 * name, an exchange and a routing key by a list of both); from messages to any other every `kest.*` member is removed. As they are
 * signed first, `publish` and `sendToQueue` answer promises; messages leave in the order of the calls. All else is the channel's own.
 *
 * Where a message goes from an exchange is said by the broker's bindings. `CC` and `BCC` are refused with a passport, which is for
 * one destination.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing. `publish` rejects with what `Messages.send` does: then
 *   nothing was sent
 *
 * @example
 * ```ts
 * const channel = wrapProducer(await connection.createConfirmChannel(), {
 *   propagateTo: ['payments', ['orders', 'order.created']],
 *   binding: 'message',
 * })
 * await channel.sendToQueue('payments', Buffer.from(JSON.stringify(payment)), { persistent: true })
 * ```
 */
export function wrapProducer<C extends AmqpPublisher>(
  channel: C,
  options: ProducerOptions,
): KestPublisher<C> {
  const { messages, uriOf } = toProducer('wrapProducer', SCHEME, options)
  const turns = new Turns()
  const publish = channel.publish as unknown as Publish

  async function send(
    name: readonly string[],
    [exchange, routingKey, content, given = {}, callback]: Parameters<Publish>,
  ): Promise<boolean> {
    if (callback !== undefined)
      throw new KestConfigError('publish: it answers a promise, and takes no callback')
    const turn = turns.take()
    try {
      const { headers, CC, BCC } = given as PublishOptions
      const carried = await messages.send({
        headers: { ...(headers as Record<string, string> | undefined) },
        body: content,
        to: uriOf(...name),
      })
      if (carriesPassport(carried['baggage']) && [CC, BCC, carried['CC'], carried['BCC']].some(isGiven))
        throw new KestConfigError(
          'publish: a passport is for one destination: publish to those of CC and BCC, too',
        )
      await turn.came
      const left = confirmed(channel, (onConfirm) =>
        Reflect.apply(publish, channel, [
          exchange,
          routingKey,
          content,
          { ...given, headers: carried },
          ...(onConfirm ? [onConfirm] : []),
        ]),
      )
      turn.pass()
      return await left
    } finally {
      turn.pass()
    }
  }

  return override(channel as unknown as KestPublisher<C>, {
    publish: (...args: Parameters<Publish>) => send(nameOf(args[0], args[1]), args),
    sendToQueue: (
      queue: string,
      ...rest: Parameters<Publish> extends [string, string, ...infer R] ? R : never
    ) => send([queue], ['', queue, ...rest]),
  })
}

function isGiven(destinations: unknown): boolean {
  return destinations !== undefined && destinations !== null
}

/** The exchange without a name hands to the queue that the routing key names. */
function nameOf(exchange: string, routingKey: string): readonly string[] {
  return exchange === '' ? [routingKey] : [exchange, routingKey]
}

/** Of a channel with confirmations: when the broker has it. */
function confirmed(
  channel: object,
  publish: (onConfirm?: (error: unknown) => void) => boolean,
): Promise<boolean> | boolean {
  if (!('waitForConfirms' in channel)) return publish()
  return new Promise((resolve, reject) => {
    const room = publish((error) => (error ? reject(error) : resolve(room)))
  })
}
