import type { Delivery } from './delivery.js'
import { dispositionOf } from './disposition.js'
import type { InboundMessage } from './message.js'
import type { RefusedMessage } from './received-batch.js'

/** How many are judged at once: what is asked takes its time, and is asked once for each. */
const AT_ONCE = 16

/**
 * Judges each message by itself. Where nothing could be said about one, those behind its sixteen are not judged.
 *
 * @param ordered whether those behind it are not handled either, so that they can follow it when it comes again
 */
export async function admitBatch(
  messages: readonly InboundMessage[],
  receive: (message: InboundMessage) => Promise<Delivery>,
  ordered: boolean,
): Promise<{ readonly deliveries: readonly Delivery[]; readonly refused: readonly RefusedMessage[] }> {
  const deliveries: Delivery[] = []
  const refused: RefusedMessage[] = []
  let stopped: RefusedMessage | undefined
  for (let at = 0; at < messages.length; at += AT_ONCE) {
    const some = messages.slice(at, at + AT_ONCE)
    if (stopped !== undefined) {
      const { error, disposition } = stopped
      refused.push(...some.map((message) => ({ message, error, disposition })))
      continue
    }
    const judged = await Promise.allSettled(some.map(receive))
    for (const [index, result] of judged.entries()) {
      const message = some[index] as InboundMessage
      if (ordered && stopped !== undefined) {
        if (result.status === 'fulfilled') result.value.end()
        refused.push({ ...stopped, message })
      } else if (result.status === 'fulfilled') {
        deliveries.push(result.value)
      } else {
        const { reason: error } = result
        const one = { message, error, disposition: dispositionOf(error) }
        refused.push(one)
        if (one.disposition === 'redeliver') stopped ??= one
      }
    }
  }
  return { deliveries, refused }
}
