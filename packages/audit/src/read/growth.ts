/**
 * How many times as large something compressed may become; spans with their signatures become ten times so. Without such a bound,
 * what is small could keep an auditor busy for as long as its writer likes.
 */
const MOST_TIMES = 200
/** Bytes that it may become in any case. */
const MOST_AT_LEAST = 4_194_304

/** What is compressed becomes larger than is read. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge'
}

/** Watches what comes of a file that is compressed, or of the messages in one. */
export class Growth {
  #took = 0
  #made = 0

  /** That were taken, compressed. */
  get bytes(): number {
    return this.#took
  }

  /** How many bytes may still come of it. */
  get left(): number {
    return Math.max(MOST_AT_LEAST, MOST_TIMES * this.#took) - this.#made
  }

  took(bytes: number): void {
    this.#took += bytes
  }

  /** @throws {TooLarge} */
  made(bytes: number): void {
    this.#made += bytes
    if (this.left < 0) throw new TooLarge(`uncompressed it is more than ${MOST_TIMES} times as large`)
  }
}
