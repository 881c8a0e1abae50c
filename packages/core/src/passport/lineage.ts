import { isOutcome, isOutcomeOf } from '../hook/outcome-entry.js'
import type { VerifiedEntry } from './verified.js'

/** Parallel lists in passport order, of entries whose signature was checked (K-LINEAGE). Frozen. */
export interface LineageSummary {
  /** Length of the lists. */
  readonly depth: number
  readonly principals: readonly string[]
  readonly operations: readonly string[]
  readonly classifications: readonly string[]
}

/**
 * Verified entries in topological order with their tips: what a frame holds (K-FLOW). A value: `append` and `join`
 * answer with another one. Successive values share one array that only grows, so that the cost of an operation does
 * not depend on how long the passport already is.
 */
export class Lineage {
  static readonly EMPTY: Lineage = new Lineage([], 0, [])

  readonly length: number
  /** Entries that no other entry names as a parent. */
  readonly tips: readonly VerifiedEntry[]
  readonly #items: VerifiedEntry[]
  #summary: LineageSummary | undefined

  private constructor(items: VerifiedEntry[], length: number, tips: readonly VerifiedEntry[]) {
    this.#items = items
    this.length = length
    this.tips = tips
  }

  /** From entries that {@link verifyPassport} has put in order. */
  static of(entries: readonly VerifiedEntry[], tips: readonly VerifiedEntry[]): Lineage {
    return entries.length === 0 ? Lineage.EMPTY : new Lineage([...entries], entries.length, [...tips])
  }

  /** With an entry whose parents are exactly the present tips. */
  append(entry: VerifiedEntry): Lineage {
    return new Lineage(this.#grow([entry]), this.length + 1, [entry])
  }

  /**
   * With what `branch` gained since it was forked off at `base`, an earlier value of this lineage. Entries of the
   * branch name as parents only entries of `base` and of the branch itself.
   */
  join(branch: Lineage, base: Lineage): Lineage {
    if (branch.length === base.length) return this
    if (this === base) return branch
    const gained = branch.#items.slice(base.length, branch.length)
    const parents = new Set(gained.flatMap((entry) => entry.entry.parent_ids))
    const tips = [...this.tips.filter((tip) => !parents.has(tip.hash)), ...branch.tips]
    return new Lineage(this.#grow(gained), this.length + gained.length, tips)
  }

  /** The entries, oldest first. */
  entries(): VerifiedEntry[] {
    return this.#items.slice(0, this.length)
  }

  /** Compact strings, the passport's own form. */
  strings(): string[] {
    return this.map((entry) => entry.jws)
  }

  map<T>(of: (entry: VerifiedEntry) => T): T[] {
    const result: T[] = []
    for (let i = 0; i < this.length; i++) result.push(of(this.#items[i] as VerifiedEntry))
    return result
  }

  /** The first thing that `of` finds in an entry, oldest first. */
  find<T>(of: (entry: VerifiedEntry) => T | undefined): T | undefined {
    for (let i = 0; i < this.length; i++) {
      const found = of(this.#items[i] as VerifiedEntry)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** What policies see of it. Made once per value. */
  summary(): LineageSummary {
    if (this.#summary !== undefined) return this.#summary
    // One pass: this is the one part of an operation's cost that grows with the passport.
    const principals: string[] = []
    const operations: string[] = []
    const classifications: string[] = []
    for (let i = 0; i < this.length; i++) {
      const { proven, principal, entry } = this.#items[i] as VerifiedEntry
      if (!proven || this.#isOutcome(i)) continue
      principals.push(principal)
      operations.push(entry.operation)
      classifications.push(entry.classification)
    }
    this.#summary = Object.freeze({
      depth: principals.length,
      principals: Object.freeze(principals),
      operations: Object.freeze(operations),
      classifications: Object.freeze(classifications),
    })
    return this.#summary
  }

  /** Whether it says how an operation of this lineage has ended, and is none itself (K-OUTCOME). */
  #isOutcome(at: number): boolean {
    const { entry } = this.#items[at] as VerifiedEntry
    return isOutcome(entry) && this.#items.slice(0, at).some((earlier) => isOutcomeOf(entry, earlier))
  }

  /** The shared array when nobody grew it past this value, else a copy of this value's part. */
  #grow(entries: readonly VerifiedEntry[]): VerifiedEntry[] {
    const items =
      this.length > 0 && this.#items.length === this.length ? this.#items : this.#items.slice(0, this.length)
    items.push(...entries)
    return items
  }
}
