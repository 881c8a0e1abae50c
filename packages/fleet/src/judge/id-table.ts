import { slotOf } from './slot.js'

const WORDS = 4
const INITIAL = 1_024
/** Of slots that may be taken before there are twice as many. */
const LOAD = 0.7
const ID = /^[0-9a-f]{32}$/
const FREE = -1

/** What is known of an id. */
export interface KnownId {
  /** Where in a log it is told of. */
  readonly offset: number
  /** A number that is kept with it. */
  readonly mark: number
}

/** Ids of 128 bits, and where each is told of: 48 bytes for each, or less. */
export class IdTable {
  #ids = new Uint32Array(INITIAL * WORDS)
  #offsets = new Float64Array(INITIAL).fill(FREE)
  #marks = new Float64Array(INITIAL)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: string): KnownId | undefined {
    const words = wordsOf(id)
    const at = words === null ? -1 : this.#find(words)
    if (at === -1 || this.#offsets[at] === FREE) return undefined
    return { offset: this.#offsets[at] as number, mark: this.#marks[at] as number }
  }

  /** In place of what was known of it; what is no id is passed over. */
  set(id: string, { offset, mark }: KnownId): void {
    const words = wordsOf(id)
    if (words === null) return
    if (this.#size + 1 > LOAD * this.#offsets.length) this.#grow()
    this.#put(words, offset, mark)
  }

  #put(words: Uint32Array, offset: number, mark: number): void {
    const at = this.#find(words)
    if (this.#offsets[at] === FREE) {
      this.#ids.set(words, at * WORDS)
      this.#size++
    }
    this.#offsets[at] = offset
    this.#marks[at] = mark
  }

  /** Where it is, or would be. */
  #find(words: Uint32Array): number {
    const mask = this.#offsets.length - 1
    for (let at = slotOf(words) & mask; ; at = (at + 1) & mask) {
      if (this.#offsets[at] === FREE) return at
      let same = true
      for (let word = 0; word < WORDS; word++) same &&= this.#ids[at * WORDS + word] === words[word]
      if (same) return at
    }
  }

  #grow(): void {
    const [ids, offsets, marks] = [this.#ids, this.#offsets, this.#marks]
    this.#ids = new Uint32Array(ids.length * 2)
    this.#offsets = new Float64Array(offsets.length * 2).fill(FREE)
    this.#marks = new Float64Array(marks.length * 2)
    this.#size = 0
    for (const [from, offset] of offsets.entries())
      if (offset !== FREE)
        this.#put(ids.subarray(from * WORDS, (from + 1) * WORDS), offset, marks[from] as number)
  }
}

function wordsOf(id: string): Uint32Array | null {
  if (!ID.test(id)) return null
  return Uint32Array.from({ length: WORDS }, (_, n) => Number.parseInt(id.slice(8 * n, 8 * n + 8), 16))
}
