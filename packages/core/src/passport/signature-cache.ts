import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'

/** Some 3 MB when full. */
const DEFAULT_MAX = 16_384

/** Under which state of which source a signature held last. */
interface HeldUnder {
  readonly source: number
  readonly generation: number
}

/**
 * Remembers which signatures held, so that fan-out and retries pay for them once (K-CACHE). A record says: under this
 * state of this key source, the signature of the entry with this hash was made by its principal's key. Form, links,
 * certificate times, K-ONCE, tips and limits are checked every time. Of one entry there is one record, the last. The least
 * recently used goes first.
 */
export class SignatureCache {
  readonly #max: number
  /** By the hash of the entry, which is there and hashed already: no key is put together for each question. */
  readonly #records = new Map<string, HeldUnder>()
  readonly #sources = new WeakMap<KeySource, number>()
  #lastSource = 0

  /**
   * @param options.max records; default 16,384
   * @throws {KestConfigError} unless it is a positive integer; for an unknown option
   */
  constructor(options: { readonly max?: number } = {}) {
    assertOptions('SignatureCache', options, ['max'])
    const { max = DEFAULT_MAX } = options
    if (!Number.isSafeInteger(max) || max < 1) {
      throw new KestConfigError(`SignatureCache: max: expected a positive integer, got ${String(max)}`)
    }
    this.#max = max
  }

  get size(): number {
    return this.#records.size
  }

  has(source: KeySource, generation: number, hash: string): boolean {
    const record = this.#records.get(hash)
    if (record === undefined || record.generation !== generation || record.source !== this.#idOf(source))
      return false
    this.#records.delete(hash)
    this.#records.set(hash, record)
    return true
  }

  add(source: KeySource, generation: number, hash: string): void {
    this.#records.delete(hash)
    if (this.#records.size >= this.#max) this.#records.delete(this.#records.keys().next().value as string)
    this.#records.set(hash, { source: this.#idOf(source), generation })
  }

  clear(): void {
    this.#records.clear()
  }

  /** A source that is gone is not held for what it said. */
  #idOf(source: KeySource): number {
    const known = this.#sources.get(source)
    if (known !== undefined) return known
    this.#sources.set(source, ++this.#lastSource)
    return this.#lastSource
  }
}
