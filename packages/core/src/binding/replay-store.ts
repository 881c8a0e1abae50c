import { assertOptions } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import type { CacheProvider } from '../propagation/cache.js'

/** Remembers which hop tokens were used (K-HOP): a {@link CacheProvider}, as far as that is concerned. */
export type ReplayStore = Pick<CacheProvider, 'setIfAbsent'>

/** Of 6,600 requests a second, for a token is kept for 150 s (hop-once.ts). Some 150 MB of heap when full. */
const DEFAULT_MAX = 1_000_000
/** How often a full store is searched for what is over: a search of a million takes some 50 ms. */
const SWEEP_MS = 1_000

/**
 * A replay store in this process. When it is full it refuses what is new with `ERR_KEST_CACHE`: it never forgets a
 * token that is still good, for that one could be used again.
 */
export class MemoryReplayStore implements ReplayStore {
  readonly #max: number
  readonly #clock: Clock
  /** Key → when it may be forgotten; the oldest first, which is nearly always the first to go. */
  readonly #used = new Map<string, number>()
  #sweptAt = Number.NEGATIVE_INFINITY

  /**
   * @param options.max tokens at a time; default 1,000,000
   * @throws {KestConfigError} unless it is a positive integer; for an unknown option
   */
  constructor(options: { readonly max?: number; readonly clock?: Clock } = {}) {
    assertOptions('MemoryReplayStore', options, ['max', 'clock'])
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
    if (this.#used.size >= this.#max) this.#sweep(now)
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

  /** Whatever is over: behind a token that was used before the clock was set back, too. */
  #sweep(now: number): void {
    if (Math.abs(now - this.#sweptAt) < SWEEP_MS) return
    this.#sweptAt = now
    for (const [key, until] of this.#used) if (until <= now) this.#used.delete(key)
  }
}
