import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import type { ReplayStore } from './replay-store.js'

/** Where it is remembered what was used, and how long is waited for it. */
export interface UseMemory {
  readonly replay: ReplayStore
  /** Part of the keys, so that several deployments can share a store. */
  readonly namespace: string
  readonly cacheTimeoutMs: number
}

/**
 * Notes that something is used, for `ttlMs`.
 * @param value what is kept of it
 * @returns whether it was not used before
 * @throws {KestError} `ERR_KEST_CACHE` when the store cannot say
 */
export function isFirstUse(
  key: string,
  ttlMs: number,
  memory: UseMemory,
  value = '1',
): MaybePromise<boolean> {
  const settle = (fresh: unknown): boolean => {
    if (typeof fresh === 'boolean') return fresh
    throw new KestError('ERR_KEST_CACHE', 'replay store: setIfAbsent must answer true or false')
  }
  const answer = askMemory(memory, (inStore) => memory.replay.setIfAbsent(inStore(key), value, ttlMs))
  return isPromise(answer) ? answer.then(settle) : settle(answer)
}

/**
 * Asks the store, within its time.
 * @param question is given what makes a key one of the store's
 * @throws {KestError} `ERR_KEST_CACHE` when it fails, or does not answer in time
 */
export function askMemory<T>(
  { namespace, cacheTimeoutMs }: UseMemory,
  question: (inStore: (key: string) => string) => MaybePromise<T>,
): MaybePromise<T> {
  let answer: MaybePromise<T>
  try {
    answer = answered(question((key) => `kest:${namespace}:${key}`))
  } catch (cause) {
    throw failed(cause)
  }
  if (!isPromise(answer)) return answer
  const late = (ms: number): KestError =>
    new KestError('ERR_KEST_CACHE', `replay store: no answer within ${ms} ms`)
  return inTime(answer, { ms: cacheTimeoutMs, late }).catch((cause: unknown) => {
    throw failed(cause)
  })
}

function failed(cause: unknown): KestError {
  if (cause instanceof KestError && cause.code === 'ERR_KEST_CACHE') return cause
  return new KestError('ERR_KEST_CACHE', 'replay store: it could not be asked', { cause })
}
