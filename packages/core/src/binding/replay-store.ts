import { type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import type { CacheProvider } from '../propagation/cache.js'

/** Remembers which hop tokens were used (K-HOP): a {@link CacheProvider}, as far as that is concerned. */
export type ReplayStore = Pick<CacheProvider, 'setIfAbsent'>

/** Some 40 MB when full; with the default skew, of 6500 requests a second. */
const DEFAULT_MAX = 262_144

/**
 * A replay store in this process. When it is full it refuses what is new with `ERR_KEST_CACHE`: it never forgets a
 * token that is still good, for that one could be used again.
 */
export class MemoryReplayStore implements ReplayStore {
  readonly #max: number
  readonly #clock: Clock
  /** Key → when it may be forgotten; the oldest first, which is nearly always the first to go. */
  readonly #used = new Map<string, number>()

  /**
   * @param options.max tokens at a time; default 262,144
   * @throws {KestConfigError} unless it is a positive integer
   */
  constructor(options: { readonly max?: number; readonly clock?: Clock } = {}) {
    const { max = DEFAULT_MAX, clock = systemClock } = options
    if (!Number.isSafeInteger(max) || max < 1) {
      throw new KestConfigError(`MemoryReplayStore: max: expected a positive integer, got ${String(max)}`)
    }
    this.#max = max
    this.#clock = clock
  }

  get size(): number {
    return this.#used.size
  }

  /** @throws {KestError} `ERR_KEST_CACHE` when it is full of tokens that are still good */
  setIfAbsent(key: string, _value: string, ttlMs: number): boolean {
    const now = this.#clock.now()
    this.#forget(now)
    if (this.#used.has(key)) return false
    if (this.#used.size >= this.#max) {
      throw new KestError('ERR_KEST_CACHE', `the replay store is full: ${this.#max} hop tokens are in force`)
    }
    this.#used.set(key, now + ttlMs)
    return true
  }

  #forget(now: number): void {
    for (const [key, until] of this.#used) {
      if (until > now) return
      this.#used.delete(key)
    }
  }
}
