import { slotOf } from './slot.js'

const SLOTS = 65_536
/** Entries of one table: seven of ten slots, 17 bytes for each entry. */
export const TABLE_ENTRIES = Math.floor(SLOTS * 0.7)
const HASH = /^[0-9a-f]{64}$/
const FREE = 0xffffffff

/** 64 bits of an entry's hash. */
export type EntryKey = readonly [number, number]

/** Entries of a part of a log: where each is, by 64 bits of its hash. Whoever looks one up reads it there, and sees whether it is that. */
export class EntryTable {
  readonly #words = new Uint32Array(2 * SLOTS)
  readonly #offsets = new Uint32Array(SLOTS).fill(FREE)
  #size = 0
  /** The time of its last record. */
  newestMs = Number.NEGATIVE_INFINITY

  /** @param base no record of it lies before */
  constructor(readonly base: number) {}

  get size(): number {
    return this.#size
  }

  /** Whether there is room for an entry that lies there. */
  takes(offset: number): boolean {
    return this.#size < TABLE_ENTRIES && offset - this.base < FREE
  }

  /** Of an entry that is there several times, the first counts. */
  add(key: EntryKey, offset: number): void {
    const at = this.#find(key)
    if (this.#offsets[at] !== FREE) return
    this.#words.set(key, 2 * at)
    this.#offsets[at] = offset - this.base
    this.#size++
  }

  get(key: EntryKey): number | undefined {
    const offset = this.#offsets[this.#find(key)] as number
    return offset === FREE ? undefined : this.base + offset
  }

  /** Where it is, or would be. */
  #find(key: EntryKey): number {
    const [first, second] = key
    for (let at = slotOf(key) % SLOTS; ; at = (at + 1) % SLOTS) {
      if (this.#offsets[at] === FREE) return at
      if (this.#words[2 * at] === first && this.#words[2 * at + 1] === second) return at
    }
  }
}

/** @returns `null` for what is no hash */
export function entryKey(hash: string): EntryKey | null {
  return HASH.test(hash)
    ? [Number.parseInt(hash.slice(0, 8), 16), Number.parseInt(hash.slice(8, 16), 16)]
    : null
}
