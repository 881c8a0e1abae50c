import { createHash } from 'node:crypto'
import { KestError } from '../errors.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { MAX_CLOCK_SKEW_MS } from './binding-options.js'
import { HOP_LIFETIME_S, type HopClaims } from './hop-token.js'
import { isFirstUse, type UseMemory } from './use-once.js'

/**
 * As long as any token can be good, from the slowest of clocks to the fastest: other listeners, and other instances that share
 * the store, may allow for more than this one.
 */
const TTL_MS = HOP_LIFETIME_S * 1000 + 2 * MAX_CLOCK_SKEW_MS

/**
 * A token is used once. Its id is its signer's own: nobody uses up another's. Asked last, so that what is remembered
 * was signed by somebody who may send here.
 *
 * @throws {KestError} `ERR_KEST_BINDING` when it was used before; `ERR_KEST_CACHE` when the store cannot say
 */
export function assertOnceOnly(
  { aud, jti }: HopClaims,
  signer: string,
  memory: UseMemory,
): MaybePromise<void> {
  const name = createHash('sha256')
    .update(JSON.stringify([signer, aud, jti]))
    .digest('base64url')
  const settle = (first: boolean): void => {
    if (!first) throw new KestError('ERR_KEST_BINDING', `the hop token was used before (K-HOP)`)
  }
  const answer = isFirstUse(`hop:${name}`, TTL_MS, memory)
  return isPromise(answer) ? answer.then(settle) : settle(answer)
}
