import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { IdTable } from '../judge/id-table.js'

/** Ids of one half; of both, 48 bytes each. */
const HALF = 262_144
const MARK_BYTES = 6

/**
 * Of which entry each `entry_id` is, of those that came last: when one half is full, the other is forgotten. What is signed is remembered
 * by a keyed digest of 48 bits: nobody knows which others have the same.
 */
export class EntryIdWindow {
  /** Of bytes, Node 24 finds out each time that they are no key of another kind, by an error whose stack is never read. */
  readonly #key = createSecretKey(randomBytes(32))
  #young = new IdTable()
  #old = new IdTable()

  /** @returns where the id was told to be of another entry; `null` when it was not */
  add(entryId: string, content: string, offset: number): number | null {
    const id = entryId.replaceAll('-', '')
    const mark = this.#markOf(content)
    const known = this.#young.get(id) ?? this.#old.get(id)
    if (known !== undefined) return known.mark === mark ? null : known.offset
    if (this.#young.size >= HALF) {
      this.#old = this.#young
      this.#young = new IdTable()
    }
    this.#young.set(id, { offset, mark })
    return null
  }

  #markOf(content: string): number {
    return createHmac('sha256', this.#key).update(content).digest().readUIntBE(0, MARK_BYTES)
  }
}
