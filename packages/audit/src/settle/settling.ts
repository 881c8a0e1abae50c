import { assertOptions, KestConfigError } from '@kest/core'

/** When something that grows is judged (K-FLEET). */
export interface SettlingOptions {
  /** Milliseconds for which nothing came. Default 30,000. */
  readonly settleMs?: number
  /** Milliseconds after the first, whatever comes. Default 600,000. */
  readonly maxAgeMs?: number
  /** How many are open at once; beyond, the oldest are judged as they stand. Default 100,000. */
  readonly maxOpen?: number
  /** Bytes of what is open; beyond, the oldest are judged as they stand. Default 268,435,456. */
  readonly maxBytes?: number
}

/** What came for one key, until it is judged. */
export interface Open<T> {
  readonly key: string
  readonly items: T[]
  /** When the first came. */
  readonly firstMs: number
  readonly lastMs: number
  readonly bytes: number
}

/** What is to be judged now. */
export interface Settled<T> extends Open<T> {
  /** Whether it is judged only because there is no more room: more may be on its way. */
  readonly early: boolean
}

const DEFAULTS = { settleMs: 30_000, maxAgeMs: 600_000, maxOpen: 100_000, maxBytes: 268_435_456 } as const

/** @throws {KestConfigError} for options that are unknown or wrong */
export function resolveSettling(options: SettlingOptions): Required<SettlingOptions> {
  assertOptions('settling', options, Object.keys(DEFAULTS))
  const resolved = { ...DEFAULTS, ...options }
  for (const [name, value] of Object.entries(resolved)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new KestConfigError(`settling: ${name}: expected a positive integer, got ${String(value)}`)
  }
  if (resolved.maxAgeMs < resolved.settleMs)
    throw new KestConfigError('settling: maxAgeMs: expected no less than settleMs')
  return resolved
}

/**
 * What is open: of each key what came for it, until nothing came for so long, or it is too old, or there is no more room (K-FLEET).
 * It has no clock: whoever adds says when it is, so that a log is settled by its own time, however fast it is read.
 */
export class Settling<T> {
  readonly #options: Required<SettlingOptions>
  /** In the order of their first. */
  readonly #open = new Map<string, Growing<T>>()
  /** The same, in the order of their last. */
  readonly #quiet = new Map<string, Growing<T>>()
  #bytes = 0

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: SettlingOptions = {}) {
    this.#options = resolveSettling(options)
  }

  get size(): number {
    return this.#open.size
  }

  /** Of all that is open. */
  get bytes(): number {
    return this.#bytes
  }

  /** The one whose first came before all others'. */
  get oldest(): Open<T> | undefined {
    return this.#open.values().next().value
  }

  get(key: string): Open<T> | undefined {
    return this.#open.get(key)
  }

  /** @param now never less than the one before; milliseconds */
  add(key: string, item: T, bytes: number, now: number): void {
    let one = this.#open.get(key)
    if (one === undefined) {
      one = { key, items: [], firstMs: now, lastMs: now, bytes: 0 }
      this.#open.set(key, one)
    }
    one.items.push(item)
    one.lastMs = now
    one.bytes += bytes
    this.#bytes += bytes
    this.#quiet.delete(key)
    this.#quiet.set(key, one)
  }

  /** What is to be judged, the oldest first; it is open no more. */
  *due(now: number): Generator<Settled<T>> {
    const { settleMs, maxAgeMs, maxOpen, maxBytes } = this.#options
    for (const one of this.#open.values()) {
      if (now - one.firstMs < maxAgeMs) break
      yield this.#close(one, false)
    }
    for (const one of this.#quiet.values()) {
      if (now - one.lastMs < settleMs) break
      yield this.#close(one, false)
    }
    for (const one of this.#open.values()) {
      if (this.#open.size <= maxOpen && this.#bytes <= maxBytes) break
      yield this.#close(one, true)
    }
  }

  /** All that is open, as if it had settled; it is open no more. */
  *all(): Generator<Settled<T>> {
    for (const one of this.#open.values()) yield this.#close(one, false)
  }

  /** When the next is due, if nothing comes; `Infinity` when nothing is open. */
  get nextAt(): number {
    const { settleMs, maxAgeMs } = this.#options
    const [first] = this.#open.values()
    const [quiet] = this.#quiet.values()
    if (first === undefined || quiet === undefined) return Number.POSITIVE_INFINITY
    return Math.min(first.firstMs + maxAgeMs, quiet.lastMs + settleMs)
  }

  #close(one: Growing<T>, early: boolean): Settled<T> {
    this.#open.delete(one.key)
    this.#quiet.delete(one.key)
    this.#bytes -= one.bytes
    return { ...one, early }
  }
}

interface Growing<T> extends Open<T> {
  lastMs: number
  bytes: number
}
