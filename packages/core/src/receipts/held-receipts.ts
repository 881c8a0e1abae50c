import { followReceipts } from './follow.js'

/** What a caller's next entries take over from a receipt (K-RECEIPT, `follow`). */
export interface Followed {
  /** The least of what its receipts are worth. */
  readonly trustScore: number
  readonly taints: readonly string[]
}

/** Of receipts that no entry has named yet, so many are kept. */
export const MAX_HELD = 255
/** What is to be followed of so many is kept apart, so that each is followed once. */
const MAX_APART = 32

/** Receipts that came in one frame, until entries have named them. */
export class HeldReceipts {
  readonly #hashes: string[] = []
  readonly #followed = new Set<Followed>()

  /** @returns whether an entry will name it: there is room for 255 at a time */
  hold(hash: string): boolean {
    if (this.#hashes.length >= MAX_HELD) return false
    this.#hashes.push(hash)
    return true
  }

  /** The oldest, for one entry to name. */
  take(max: number): readonly string[] {
    return this.#hashes.splice(0, max)
  }

  /** The entry that was to name them was not signed. */
  giveBack(hashes: readonly string[]): void {
    this.#hashes.unshift(...hashes)
  }

  /** However many there are, and whatever callees have put into them, what is kept of them is as much as one entry takes over. */
  follow(values: Iterable<Followed>): void {
    for (const value of values) this.#followed.add(value)
    if (this.#followed.size <= MAX_APART) return
    const { trustScore, addedTaints } = followReceipts(this.followed, [], [])
    this.#followed.clear()
    this.#followed.add({ trustScore, taints: addedTaints })
  }

  /** What is to be followed, until an entry that does is part of the lineage. */
  get followed(): readonly Followed[] {
    return [...this.#followed]
  }

  /** Entries that follow these have joined. */
  joined(values: Iterable<Followed>): void {
    for (const value of values) this.#followed.delete(value)
  }
}
