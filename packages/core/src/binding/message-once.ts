import { createHash } from 'node:crypto'
import { KestError } from '../errors.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { BrokerDelivery, MessageEvidence } from '../messages/message.js'
import type { CacheProvider } from '../propagation/cache.js'
import { MAX_CLOCK_SKEW_MS } from './binding-options.js'
import type { MessageClaims } from './message-token.js'
import { askMemory, isFirstUse, type UseMemory } from './use-once.js'

/** Remembers which messages came, and where from (K-MESSAGE): a {@link CacheProvider}, as far as that is concerned. */
export type MessageReplayStore = Pick<CacheProvider, 'get' | 'setIfAbsent'>

/** Where messages are remembered, and for how much longer the token is good. */
export interface DeliveryMemory {
  readonly memory: UseMemory & { readonly replay: MessageReplayStore }
  readonly leftMs: number
}

/**
 * A message is handled once, unless its broker delivers it again: brokers do, when nobody acknowledged it. Where the broker
 * names the place of a message, that says so, for what is written a second time has another place; elsewhere its mark does.
 *
 * @throws {KestError} `ERR_KEST_BINDING` when it came before; `ERR_KEST_CACHE` when the store cannot say
 */
export function assertDeliveredOnce(
  { aud, jti }: MessageClaims,
  signer: string,
  { delivery }: MessageEvidence,
  { memory, leftMs }: DeliveryMemory,
): MaybePromise<void> {
  const name = createHash('sha256')
    .update(JSON.stringify([signer, aud, jti]))
    .digest('base64url')
  const key = `message:${name}`
  const place = delivery.id ?? ''
  const settle = (first: boolean): MaybePromise<void> => {
    if (first || (place === '' && isRedelivered(delivery))) return
    if (place === '') throw cameBefore()
    const known = askMemory(memory, (store) => memory.replay.get(store(key)))
    return isPromise(known)
      ? known.then((text) => assertSamePlace(text, place))
      : assertSamePlace(known, place)
  }
  const answer = isFirstUse(key, Math.max(1, leftMs) + 2 * MAX_CLOCK_SKEW_MS, memory, place)
  return isPromise(answer) ? answer.then(settle) : settle(answer)
}

function isRedelivered({ count = 1, redelivered = false }: BrokerDelivery): boolean {
  return redelivered || count > 1
}

function assertSamePlace(known: unknown, place: string): void {
  if (known !== null && typeof known !== 'string')
    throw new KestError('ERR_KEST_CACHE', 'replay store: get must answer a string or null')
  if (known !== place) throw cameBefore()
}

function cameBefore(): KestError {
  return new KestError('ERR_KEST_BINDING', 'the message came before, and is no redelivery (K-MESSAGE)')
}
