import type { HeldSequence } from './held-sequence.js'

/** Ranges of numbers, and what was said of them, of one principal's processes and of all. */
export interface TableBounds {
  readonly ofOne: number
  readonly ofAll: number
}

/** Processes: of each principal so many, and of all, so that nobody crowds out another. */
export class SequenceTable {
  readonly #bounds: TableBounds
  /** The longest quiet first. */
  readonly #byKey = new Map<string, Row>()
  readonly #byPrincipal = new Map<string, Own>()
  #weight = 0

  constructor(bounds: TableBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): HeldSequence | undefined {
    return this.#byKey.get(key)?.one
  }

  /** It is the least quiet then, and weighed anew. */
  touch(key: string, one: HeldSequence): void {
    this.delete(key)
    const { weight } = one
    this.#byKey.set(key, { one, weight })
    const own = this.#byPrincipal.get(one.principal) ?? { keys: new Set(), weight: 0 }
    this.#byPrincipal.set(one.principal, own)
    own.keys.add(key)
    own.weight += weight
    this.#weight += weight
  }

  delete(key: string): void {
    const row = this.#byKey.get(key)
    if (row === undefined) return
    this.#byKey.delete(key)
    this.#weight -= row.weight
    const own = this.#byPrincipal.get(row.one.principal) as Own
    own.keys.delete(key)
    own.weight -= row.weight
    if (own.keys.size === 0) this.#byPrincipal.delete(row.one.principal)
  }

  /** What there is no room for after one of that principal came: the longest quiet. */
  *beyond(principal: string): Generator<readonly [key: string, one: HeldSequence]> {
    const own = this.#byPrincipal.get(principal)
    for (const key of own?.keys ?? []) {
      if ((own as Own).weight <= this.#bounds.ofOne) break
      yield this.#taken(key)
    }
    for (const key of this.#byKey.keys()) {
      if (this.#weight <= this.#bounds.ofAll) return
      yield this.#taken(key)
    }
  }

  /** Those that were quiet since before then. */
  *quiet(sinceMs: number): Generator<readonly [key: string, one: HeldSequence]> {
    for (const [key, { one }] of this.#byKey) {
      if (one.lastMs >= sinceMs) return
      yield this.#taken(key)
    }
  }

  /** Those of a principal. */
  *of(principal: string): Generator<readonly [key: string, one: HeldSequence]> {
    for (const key of this.#byPrincipal.get(principal)?.keys ?? []) yield [key, this.get(key) as HeldSequence]
  }

  #taken(key: string): readonly [string, HeldSequence] {
    const one = this.get(key) as HeldSequence
    this.delete(key)
    return [key, one]
  }
}

interface Row {
  readonly one: HeldSequence
  readonly weight: number
}

interface Own {
  readonly keys: Set<string>
  weight: number
}
