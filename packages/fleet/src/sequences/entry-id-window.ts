import { createHmac, randomBytes } from 'node:crypto'
import { JudgedIndex } from '../judge/judged-index.js'

/** Ids of one half; of both, 48 bytes each. */
const HALF = 262_144
const MARK_BYTES = 6

/**
 * Of which entry each `entry_id` is, of those that came last: when one half is full, the other is forgotten. What is signed is remembered
 * by a keyed digest of 48 bits: nobody knows which others have the same.
 */
export class EntryIdWindow {
  readonly #key = randomBytes(32)
  #young = new JudgedIndex()
  #old = new JudgedIndex()

  /** @returns where the id was told to be of another entry; `null` when it was not */
  add(entryId: string, content: string, offset: number): number | null {
    const id = entryId.replaceAll('-', '')
    const mark = this.#markOf(content)
    const known = this.#young.get(id) ?? this.#old.get(id)
    if (known !== undefined) return known.covered === mark ? null : known.verdict
    if (this.#young.size >= HALF) {
      this.#old = this.#young
      this.#young = new JudgedIndex()
    }
    this.#young.set(id, { verdict: offset, covered: mark })
    return null
  }

  #markOf(content: string): number {
    return createHmac('sha256', this.#key).update(content).digest().readUIntBE(0, MARK_BYTES)
  }
}
