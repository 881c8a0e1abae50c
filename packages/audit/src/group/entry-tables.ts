import { type EntryKey, EntryTable } from './entry-table.js'

/** How many there may be: of 8 million entries, 140 MiB. */
export const MAX_ENTRY_TABLES = 183

/** Where the entries of a log are that goes on: in tables, of which the first may be forgotten. */
export class EntryTables {
  /** In the order of what lies in them. */
  #tables: EntryTable[] = []
  /** The time of the last entry that had no room. */
  #lostMs = Number.NEGATIVE_INFINITY

  /** How many there are. */
  get size(): number {
    return this.#tables.length
  }

  /** Where the first begins, if there is one. */
  get base(): number | undefined {
    return this.#tables[0]?.base
  }

  /** The time of the last entry of the first; `Infinity` when there is none. */
  get oldestMs(): number {
    return this.#tables[0]?.newestMs ?? Number.POSITIVE_INFINITY
  }

  /** Whether nothing was lost of what came since then. */
  isWhole(sinceMs: number): boolean {
    return this.#lostMs < sinceMs
  }

  /** @param at behind all that was added before */
  add(key: EntryKey, at: number, ms: number): void {
    let table = this.#tables.at(-1)
    if (table === undefined || !table.takes(at)) {
      table = new EntryTable(at)
      this.#tables.push(table)
    }
    table.add(key, at)
    table.newestMs = Math.max(table.newestMs, ms)
  }

  /** What lies before all that is here. */
  putBefore(older: EntryTables): void {
    this.#tables.unshift(...older.#tables)
  }

  /** Where an entry may be, the last first: by a part of its hash, so that whoever reads it there sees whether it is that. */
  *find(key: EntryKey): Generator<number> {
    for (let n = this.#tables.length - 1; n >= 0; n--) {
      const at = this.#tables[n]?.get(key)
      if (at !== undefined) yield at
    }
  }

  /**
   * Forgets the first, because nobody asks for what is so old, or, `lost`, because there is no room for it.
   * @returns the time of its last entry; `null` when there is none
   */
  drop(lost: boolean): number | null {
    const table = this.#tables.shift()
    if (table === undefined) return null
    if (lost) this.#lostMs = Math.max(this.#lostMs, table.newestMs)
    return table.newestMs
  }

  /** Forgets all of them, as what nobody asks for. */
  clear(): void {
    this.#tables = []
  }
}
