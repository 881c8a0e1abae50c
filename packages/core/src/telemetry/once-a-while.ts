/** Thins out what would be logged at each request: the first is said at once, then at most one a minute. */
export class OnceAWhile {
  readonly #periodMs: number
  readonly #now: () => number
  #next = Number.NEGATIVE_INFINITY
  #count = 0

  constructor(periodMs = 60_000, now: () => number = () => performance.now()) {
    this.#periodMs = periodMs
    this.#now = now
  }

  /** How many there were since the last that was said, this one included; 0 while there is nothing to say. */
  count(): number {
    this.#count++
    const now = this.#now()
    if (now < this.#next) return 0
    const count = this.#count
    this.#count = 0
    this.#next = now + this.#periodMs
    return count
  }
}
