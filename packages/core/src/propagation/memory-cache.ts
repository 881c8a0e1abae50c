import { assertOptions } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import type { CacheProvider } from './cache.js'

export interface MemoryCacheOptions {
  /** Passports at a time. Default 10,000. */
  readonly maxEntries?: number | undefined
  /** Bytes of keys and values together. Default 67,108,864 (64 MiB). */
  readonly maxBytes?: number | undefined
  readonly clock?: Clock | undefined
}

/** What a {@link MemoryCache} holds, and what became of the rest. */
export interface MemoryCacheStats {
  readonly entries: number
  readonly bytes: number
  /** Values that found no room. */
  readonly refused: number
  /** Values dropped because their time was over. */
  readonly expired: number
}

interface Slot {
  readonly value: string
  readonly bytes: number
  readonly expires: number
}

/**
 * A claim-check cache in this process: for tests, development, and services that share one process. Services in
 * several processes need a shared {@link CacheProvider}.
 *
 * When it is full it refuses what is new with `ERR_KEST_CACHE`, so that the request concerned is not sent. It never
 * evicts a passport whose time is not over: somewhere a request is under way that would be refused for it.
 *
 * @example
 * ```ts
 * configure({ …, cache: new MemoryCache({ maxEntries: 1000 }) })
 * ```
 */
export class MemoryCache implements CacheProvider {
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #clock: Clock
  readonly #slots = new Map<string, Slot>()
  #bytes = 0
  #refused = 0
  #expired = 0
  /** Nothing expires before this. */
  #earliest = Number.POSITIVE_INFINITY

  /** @throws {KestConfigError} for a bound that is not a positive integer, and for an unknown option */
  constructor(options: MemoryCacheOptions = {}) {
    assertOptions('MemoryCache', options, ['maxEntries', 'maxBytes', 'clock'])
    this.#maxEntries = bound('maxEntries', options.maxEntries ?? 10_000)
    this.#maxBytes = bound('maxBytes', options.maxBytes ?? 67_108_864)
    this.#clock = options.clock ?? systemClock
  }

  get(key: string): string | null {
    const slot = this.#slots.get(key)
    if (slot === undefined) return null
    if (slot.expires > this.#clock.now()) return slot.value
    this.#expire(key, slot)
    return null
  }

  /**
   * @throws {KestError} `ERR_KEST_CACHE` when there is no room
   * @throws {TypeError} when `ttlMs` is not a positive number
   */
  setIfAbsent(key: string, value: string, ttlMs: number): boolean {
    if (!(ttlMs > 0)) throw new TypeError(`MemoryCache: expected a positive ttlMs, got ${ttlMs}`)
    if (this.get(key) !== null) return false
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(value)
    if (!this.#fits(bytes)) this.#sweep()
    if (!this.#fits(bytes)) {
      this.#refused++
      throw new KestError(
        'ERR_KEST_CACHE',
        `MemoryCache: no room for ${bytes} bytes beside ${this.#slots.size} passports of ${this.#bytes} bytes ` +
          `(maxEntries ${this.#maxEntries}, maxBytes ${this.#maxBytes})`,
      )
    }
    const expires = this.#clock.now() + ttlMs
    this.#slots.set(key, { value, bytes, expires })
    this.#bytes += bytes
    this.#earliest = Math.min(this.#earliest, expires)
    return true
  }

  /** A snapshot for metrics. */
  stats(): MemoryCacheStats {
    return { entries: this.#slots.size, bytes: this.#bytes, refused: this.#refused, expired: this.#expired }
  }

  /** Forgets everything. */
  close(): void {
    this.#slots.clear()
    this.#bytes = 0
    this.#earliest = Number.POSITIVE_INFINITY
  }

  #fits(bytes: number): boolean {
    return this.#slots.size < this.#maxEntries && this.#bytes + bytes <= this.#maxBytes
  }

  /** Drops what has expired; costs nothing while nothing can have. */
  #sweep(): void {
    const now = this.#clock.now()
    if (now < this.#earliest) return
    this.#earliest = Number.POSITIVE_INFINITY
    for (const [key, slot] of this.#slots) {
      if (slot.expires <= now) this.#expire(key, slot)
      else this.#earliest = Math.min(this.#earliest, slot.expires)
    }
  }

  #expire(key: string, slot: Slot): void {
    this.#slots.delete(key)
    this.#bytes -= slot.bytes
    this.#expired++
  }
}

function bound(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new KestConfigError(`MemoryCache.${name}: expected a positive integer, got ${String(value)}`)
  }
  return value
}
