import { randomUUID } from 'node:crypto'
import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import type { CacheProvider } from './cache.js'
import type { ResolvedPropagation } from './options.js'

/** What the claim check needs of {@link ResolvedPropagation}, with a cache that is there. */
export type ClaimStore = Pick<
  ResolvedPropagation,
  'namespace' | 'claimTtlMs' | 'cacheTimeoutMs' | 'limits'
> & {
  readonly cache: CacheProvider
}

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A cache that calls this many fresh UUIDs taken is broken. */
const ATTEMPTS = 3

/** Whether text is a claim check: a UUID v4 in lower case. */
export function isClaimCheck(text: string): boolean {
  return UUID_V4.test(text)
}

/**
 * Puts a passport into the cache under a fresh id (F-CP-04, K-CLAIM). When it answers, the passport is there for
 * `claimTtlMs`.
 *
 * @returns the id to send, a UUID v4
 * @throws {KestError} `ERR_KEST_CACHE` when the cache fails, does not answer in time, or calls every id taken
 */
export function storeClaim(passport: string, store: ClaimStore, attempt = 1): MaybePromise<string> {
  const id = randomUUID()
  const stored = ask(store, 'store', () =>
    store.cache.setIfAbsent(keyOf(id, store), passport, store.claimTtlMs),
  )
  const settle = (answer: unknown): MaybePromise<string> => {
    if (answer === true) return id
    if (answer !== false)
      throw new KestError('ERR_KEST_CACHE', 'claim check: setIfAbsent must answer true or false')
    if (attempt < ATTEMPTS) return storeClaim(passport, store, attempt + 1)
    throw new KestError('ERR_KEST_CACHE', `claim check: the cache called ${ATTEMPTS} fresh ids taken`)
  }
  return isPromise(stored) ? stored.then(settle) : settle(stored)
}

/**
 * Fetches the passport that a claim check stands for (F-CP-05). What comes back is as untrusted as a header.
 *
 * @returns the passport's JSON
 * @throws {KestError} `ERR_KEST_CLAIM_UNKNOWN` when there is none, or none any more; `ERR_KEST_LIMIT` when it is
 *   longer than `limits.passportBytes`; `ERR_KEST_CACHE` when the cache fails or does not answer in time
 */
export function resolveClaim(id: string, store: ClaimStore): MaybePromise<string> {
  const found = ask(store, 'read', () => store.cache.get(keyOf(id, store)))
  const settle = (answer: unknown): string => {
    if (answer === null)
      throw new KestError('ERR_KEST_CLAIM_UNKNOWN', `claim check ${id}: unknown, or expired`)
    if (typeof answer !== 'string')
      throw new KestError('ERR_KEST_CACHE', 'claim check: get must answer a string or null')
    const { passportBytes } = store.limits
    if (Buffer.byteLength(answer) > passportBytes) {
      throw new KestError('ERR_KEST_LIMIT', `claim check ${id}: more than ${passportBytes} bytes`)
    }
    return answer
  }
  return isPromise(found) ? found.then(settle) : settle(found)
}

function keyOf(id: string, { namespace }: ClaimStore): string {
  return `kest:${namespace}:${id}`
}

/** Asks the cache, within its time; whatever it throws becomes `ERR_KEST_CACHE`. */
function ask<T>(store: ClaimStore, what: string, question: () => MaybePromise<T>): MaybePromise<T> {
  const failed = (cause: unknown): never => {
    if (cause instanceof KestError && cause.code === 'ERR_KEST_CACHE') throw cause
    throw new KestError('ERR_KEST_CACHE', `claim check: the cache could not ${what}`, { cause })
  }
  let answer: MaybePromise<T>
  try {
    answer = answered(question())
  } catch (cause) {
    return failed(cause)
  }
  if (!isPromise(answer)) return answer
  const late = (ms: number): KestError =>
    new KestError('ERR_KEST_CACHE', `claim check: no answer within ${ms} ms`)
  return inTime(answer, { ms: store.cacheTimeoutMs, late }).catch(failed)
}
