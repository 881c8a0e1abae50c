/**
 * Objects and lists of one export that are read: 16,000 spans with thirty attributes each have fewer. Each takes many times
 * the memory of the two or three bytes that it can be written in.
 */
export const MAX_PARTS = 1_000_000

const OPEN_LIST = 0x5b
const OPEN_OBJECT = 0x7b

/**
 * Whether a JSON text could have more of them; brackets within texts count, too. For before it is parsed.
 *
 * @throws {TooManyParts}
 */
export function assertParts(json: Uint8Array): void {
  // Each takes two bytes at least.
  if (json.length < 2 * MAX_PARTS) return
  const count = new PartCount()
  for (let i = 0; i < json.length; i++) {
    if (json[i] === OPEN_OBJECT || json[i] === OPEN_LIST) count.add()
  }
}

/** Something is in more parts than are read. */
export class TooManyParts extends Error {
  override readonly name = 'TooManyParts'

  constructor() {
    super(`it has more than ${MAX_PARTS} objects and lists`)
  }
}

/** Counts parts while they are read, where the text does not show them. */
export class PartCount {
  #left = MAX_PARTS

  /** @throws {TooManyParts} */
  add(): void {
    if (--this.#left < 0) throw new TooManyParts()
  }
}
