import type { NumberStore } from './process-numbers.js'

/** Numbers of one page: a bit each. */
const PAGE = 4_096

/** Pages of one set: of successive numbers, 130 million. */
const MAX_PAGES = 32_768

/** A set of positive integers, mostly successive: a bit each. */
export class NumberSet implements NumberStore {
  readonly #pages = new Map<number, Uint32Array>()
  /** How many were not added, because they lie too far apart. Anybody can choose his numbers, so they may not fill memory. */
  beyond = 0

  /** @returns whether it was not there before */
  add(number: number): boolean {
    const at = Math.floor(number / PAGE)
    let page = this.#pages.get(at)
    if (page === undefined) {
      if (this.#pages.size === MAX_PAGES) {
        this.beyond++
        return true
      }
      page = new Uint32Array(PAGE / 32)
      this.#pages.set(at, page)
    }
    const bit = number % PAGE
    const word = page[bit >> 5] as number
    page[bit >> 5] = word | (1 << (bit & 31))
    return (word & (1 << (bit & 31))) === 0
  }

  has(number: number): boolean {
    const bit = number % PAGE
    const word = this.#pages.get(Math.floor(number / PAGE))?.[bit >> 5] ?? 0
    return (word & (1 << (bit & 31))) !== 0
  }

  /** In ascending order. */
  *ranges(): Generator<readonly [from: number, to: number]> {
    let from = 0
    let to = -1
    for (const number of this.#numbers()) {
      if (number === to + 1) to = number
      else {
        if (to > 0) yield [from, to]
        from = number
        to = number
      }
    }
    if (to > 0) yield [from, to]
  }

  *#numbers(): Generator<number> {
    for (const at of [...this.#pages.keys()].sort((a, b) => a - b)) {
      for (let bit = 0; bit < PAGE; bit++) if (this.has(at * PAGE + bit)) yield at * PAGE + bit
    }
  }
}
