/**
 * Objects and lists of one export that are read: 16,000 spans with thirty attributes each have fewer. Each takes many times
 * the memory of the two or three bytes that it can be written in.
 */
export const MAX_PARTS = 1_000_000

/** Something is in more parts than are read. */
export class TooManyParts extends Error {
  override readonly name = 'TooManyParts'

  constructor() {
    super(`it has more than ${MAX_PARTS} objects and lists`)
  }
}

/** Counts parts before, or while, they are read. */
export class PartCount {
  #left = MAX_PARTS

  /** @throws {TooManyParts} */
  add(): void {
    if (--this.#left < 0) throw new TooManyParts()
  }
}
