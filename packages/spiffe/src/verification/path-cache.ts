import { hash } from 'node:crypto'
import { KestConfigError } from '@kest/core'
import type { Path } from './path.js'

/** Some 4 MB when full. */
const DEFAULT_MAX = 1024

interface Record {
  readonly generation: number
  readonly path: Path
}

/**
 * Remembers which chains lead to an authority, so that a workload's certificates are verified once and not with every entry.
 * What was found under earlier bundles counts no more. Times are not remembered: they are checked every time. The least
 * recently used chain goes first. A chain that failed is remembered only as long as the list that it came in, for strangers
 * choose those: so that it fails once for all who might have it as theirs.
 */
export class PathCache {
  readonly #max: number
  readonly #records = new Map<string, Record>()
  readonly #failures = new WeakMap<readonly string[], Map<string, unknown>>()
  readonly #thumbprints = new WeakMap<readonly string[], string>()

  /** @throws {KestConfigError} unless `max` is a positive integer */
  constructor(max: number = DEFAULT_MAX) {
    if (!Number.isSafeInteger(max) || max < 1)
      throw new KestConfigError(`x509: cacheSize: expected a positive integer, got ${String(max)}`)
    this.#max = max
  }

  get size(): number {
    return this.#records.size
  }

  /**
   * @param x5c the chain; its thumbprint is what is remembered
   * @param generation of the bundles that `find` sees
   * @param trustDomain whose bundle `find` takes
   */
  get(x5c: readonly string[], generation: number, trustDomain: string, find: () => Path): Path {
    const key = this.#thumbprintOf(x5c)
    const known = this.#records.get(key)
    this.#records.delete(key)
    const record =
      known?.generation === generation
        ? known
        : { generation, path: this.#findOnce(x5c, `${generation} ${trustDomain}`, find) }
    if (this.#records.size >= this.#max) this.#records.delete(this.#records.keys().next().value as string)
    this.#records.set(key, record)
    return record.path
  }

  #findOnce(x5c: readonly string[], question: string, find: () => Path): Path {
    const failures = this.#failures.get(x5c) ?? new Map<string, unknown>()
    if (failures.has(question)) throw failures.get(question)
    try {
      return find()
    } catch (error) {
      failures.set(question, error)
      if (Object.isFrozen(x5c)) this.#failures.set(x5c, failures)
      throw error
    }
  }

  /** Entries of one workload share their header, and so the list of its certificates. */
  #thumbprintOf(x5c: readonly string[]): string {
    const known = this.#thumbprints.get(x5c)
    if (known !== undefined) return known
    const thumbprint = hash('sha256', x5c.join(' '), 'base64')
    // In a list that is not frozen others may be put.
    if (Object.isFrozen(x5c)) this.#thumbprints.set(x5c, thumbprint)
    return thumbprint
  }
}
