import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'

/** Some 3 MB when full. */
const DEFAULT_MAX = 16_384

/**
 * Remembers which signatures held, so that fan-out and retries pay for them once (K-CACHE). A record says: under this
 * state of this key source, the signature of the entry with this hash was made by its principal's key. Form, links,
 * certificate times, K-ONCE, tips and limits are checked every time. The least recently used record goes first.
 */
export class SignatureCache {
  readonly #max: number
  readonly #records = new Set<string>()
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
    const record = this.#recordOf(source, generation, hash)
    if (!this.#records.delete(record)) return false
    this.#records.add(record)
    return true
  }

  add(source: KeySource, generation: number, hash: string): void {
    const record = this.#recordOf(source, generation, hash)
    this.#records.delete(record)
    if (this.#records.size >= this.#max) this.#records.delete(this.#records.values().next().value as string)
    this.#records.add(record)
  }

  clear(): void {
    this.#records.clear()
  }

  #recordOf(source: KeySource, generation: number, hash: string): string {
    let id = this.#sources.get(source)
    if (id === undefined) {
      id = ++this.#lastSource
      this.#sources.set(source, id)
    }
    return `${id}:${generation}:${hash}`
  }
}
