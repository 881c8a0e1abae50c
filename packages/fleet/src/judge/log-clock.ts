/**
 * The time of a log: that of the last record that was read, so that a day is settled as it was however fast it is read again; and where
 * the log ends, as much later as has passed since. Nobody's clock is compared with another's: a record that says an earlier time than one
 * before it holds up nothing.
 */
export class LogClock {
  readonly #elapsed: () => number
  #last = 0
  #seenAt: number
  #now = 0
  readonly #known: number

  /**
   * @param elapsed milliseconds since whenever, never less than before
   * @param known what it was before, as somebody wrote: where the log ends, it is no earlier
   */
  constructor(elapsed: () => number, known = 0) {
    this.#elapsed = elapsed
    this.#seenAt = elapsed()
    this.#known = known
  }

  /** @returns the time of a record; never before that of another */
  see(timestampMs: number): number {
    if (timestampMs > this.#last) {
      this.#last = timestampMs
      this.#seenAt = this.#elapsed()
    }
    this.#now = Math.max(this.#now, this.#last)
    return this.#now
  }

  /** @param atEnd whether all that is in the log was read */
  now(atEnd: boolean): number {
    if (atEnd) {
      this.#last = Math.max(this.#last, this.#known)
      this.#now = Math.max(this.#now, this.#last + Math.floor(this.#elapsed() - this.#seenAt))
      // Of a log that is read on, time goes by its records; what is waited for later begins here.
    } else this.#seenAt = this.#elapsed()
    return this.#now
  }
}
