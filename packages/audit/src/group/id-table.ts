import { slotOf } from './slot.js'

const WORDS = 4
const INITIAL = 1_024
/** Of slots that may be taken before there are twice as many. */
const LOAD = 0.7
const DIGITS = 32
const DIGITS_OF_WORD = DIGITS / WORDS
/** By the code of a character; -1: it is no digit. */
const DIGIT_OF = Int8Array.from({ length: 128 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(code)),
)
const FREE = -1

/** What is known of an id. */
export interface KnownId {
  /** Where in a log it is told of. */
  readonly offset: number
  /** A number that is kept with it. */
  readonly mark: number
}

/** Ids of 128 bits, and where each is told of: 46 to 92 bytes for each, and half as much again while there get to be more. */
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
    if (this.#size + 1 > LOAD * this.#offsets.length) this.#rebuild(2 * this.#offsets.length, 0)
    this.#put(words, offset, mark)
  }

  /** Forgets those that are told of before an offset. */
  forget(before: number): void {
    const kept = this.#offsets.reduce((sum, offset) => sum + (offset >= before ? 1 : 0), 0)
    if (kept === this.#size) return
    let slots = INITIAL
    while (kept + 1 > LOAD * slots) slots *= 2
    this.#rebuild(slots, before)
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

  #rebuild(slots: number, before: number): void {
    const [ids, offsets, marks] = [this.#ids, this.#offsets, this.#marks]
    this.#ids = new Uint32Array(slots * WORDS)
    this.#offsets = new Float64Array(slots).fill(FREE)
    this.#marks = new Float64Array(slots)
    this.#size = 0
    for (const [from, offset] of offsets.entries())
      if (offset !== FREE && offset >= before)
        this.#put(ids.subarray(from * WORDS, (from + 1) * WORDS), offset, marks[from] as number)
  }
}

function wordsOf(id: string): Uint32Array | null {
  if (id.length !== DIGITS) return null
  const words = new Uint32Array(WORDS)
  for (let n = 0; n < DIGITS; n++) {
    const digit = DIGIT_OF[id.charCodeAt(n)] ?? -1
    if (digit === -1) return null
    const word = Math.floor(n / DIGITS_OF_WORD)
    words[word] = ((words[word] as number) << 4) | digit
  }
  return words
}
