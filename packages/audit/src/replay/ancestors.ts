import type { AuditedEntry } from '../judge/audited-entry.js'

/** What entries of one trace build on. */
export class Ancestors {
  readonly #entries: ReadonlyMap<string, AuditedEntry>
  readonly #places: ReadonlyMap<string, number>
  readonly #most: number

  /**
   * @param entries in a passport's order
   * @param most that a passport may have
   */
  constructor(entries: readonly AuditedEntry[], most: number) {
    this.#entries = new Map(entries.map((one) => [one.hash, one]))
    this.#places = new Map(entries.map(({ hash }, place) => [hash, place]))
    this.#most = most
  }

  /** In a passport's order; `undefined` where one is not there, or there are more than a passport may have. */
  of({ parents }: AuditedEntry): readonly AuditedEntry[] | undefined {
    const found = new Map<string, AuditedEntry>()
    const pending = [...parents]
    for (let hash = pending.pop(); hash !== undefined; hash = pending.pop()) {
      if (found.has(hash)) continue
      const one = this.#entries.get(hash)
      if (one === undefined || found.size === this.#most) return undefined
      found.set(hash, one)
      pending.push(...one.parents)
    }
    const place = ({ hash }: AuditedEntry): number => this.#places.get(hash) as number
    return [...found.values()].sort((one, other) => place(one) - place(other))
  }
}
