import type { NumberStore } from './process-numbers.js'

/** Ranges of one set: of what comes about in order, so many gaps. */
export const MAX_RANGES = 1_024

/** A set of positive integers that come about in order: the ranges that they make, however long those are. */
export class NumberRanges implements NumberStore {
  /** Ascending, with a gap between each and the next. */
  readonly #ranges: [from: number, to: number][]
  /** How many were not added, because they would make too many ranges. Anybody can choose his numbers, so they may not fill memory. */
  beyond: number

  readonly #max: number

  /** @param max how many ranges there may be */
  constructor(ranges: Iterable<readonly [from: number, to: number]> = [], beyond = 0, max = MAX_RANGES) {
    this.#max = max
    this.#ranges = Array.from(ranges, ([from, to]) => [from, to])
    this.beyond = beyond
  }

  /** @returns whether it was not there before */
  add(number: number): boolean {
    const at = this.#after(number)
    const before = this.#ranges[at - 1]
    const next = this.#ranges[at]
    if (before !== undefined && number <= before[1]) return false
    const isOn = before !== undefined && before[1] === number - 1
    const leadsOn = next !== undefined && next[0] === number + 1
    if (isOn && leadsOn) {
      before[1] = next[1]
      this.#ranges.splice(at, 1)
    } else if (isOn) before[1] = number
    else if (leadsOn) next[0] = number
    else if (this.#ranges.length >= this.#max) this.beyond++
    else this.#ranges.splice(at, 0, [number, number])
    return true
  }

  *ranges(): Generator<readonly [from: number, to: number]> {
    yield* this.#ranges
  }

  get size(): number {
    return this.#ranges.length
  }

  /** The greatest; 0 when there is none. */
  get highest(): number {
    return this.#ranges.at(-1)?.[1] ?? 0
  }

  /** Of the first range that begins after the number. */
  #after(number: number): number {
    let [low, high] = [0, this.#ranges.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ranges[middle] as [number, number])[0] > number) high = middle
      else low = middle + 1
    }
    return low
  }
}
