import { createHash } from 'node:crypto'
import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import { MAX_CLOCK_SKEW_MS } from './binding-options.js'
import { HOP_LIFETIME_S, type HopClaims } from './hop-token.js'
import type { ReplayStore } from './replay-store.js'

/**
 * As long as any token can be good, from the slowest of clocks to the fastest: other listeners, and other instances that share
 * the store, may allow for more than this one.
 */
const TTL_MS = HOP_LIFETIME_S * 1000 + 2 * MAX_CLOCK_SKEW_MS

interface Memory {
  readonly replay: ReplayStore
  readonly namespace: string
  readonly cacheTimeoutMs: number
}

/**
 * A token is used once. Its id is its signer's own: nobody uses up another's. Asked last, so that what is remembered
 * was signed by somebody who may send here.
 *
 * @throws {KestError} `ERR_KEST_BINDING` when it was used before; `ERR_KEST_CACHE` when the store cannot say
 */
export function assertOnceOnly(
  { aud, jti }: HopClaims,
  signer: string,
  { replay, namespace, cacheTimeoutMs }: Memory,
): MaybePromise<void> {
  const name = createHash('sha256')
    .update(JSON.stringify([signer, aud, jti]))
    .digest('base64url')
  const settle = (fresh: unknown): void => {
    if (fresh === true) return
    if (fresh !== false)
      throw new KestError('ERR_KEST_CACHE', 'replay store: setIfAbsent must answer true or false')
    throw new KestError('ERR_KEST_BINDING', `the hop token was used before (K-HOP)`)
  }
  let answer: MaybePromise<boolean>
  try {
    answer = answered(replay.setIfAbsent(`kest:${namespace}:hop:${name}`, '1', TTL_MS))
  } catch (cause) {
    throw failed(cause)
  }
  if (!isPromise(answer)) return settle(answer)
  const late = (ms: number): KestError =>
    new KestError('ERR_KEST_CACHE', `replay store: no answer within ${ms} ms`)
  return inTime(answer, { ms: cacheTimeoutMs, late }).then(settle, (cause: unknown) => {
    throw failed(cause)
  })
}

function failed(cause: unknown): KestError {
  if (cause instanceof KestError && cause.code === 'ERR_KEST_CACHE') return cause
  return new KestError('ERR_KEST_CACHE', 'replay store: it could not be asked', { cause })
}
