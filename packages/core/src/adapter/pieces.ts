/** Bytes that are worth a piece of their own. */
const PIECE_BYTES = 65_536
/** Shorter ones, of which as many become one. */
const MAX_SHORT = 1_024

/**
 * For adapters and clients: what came of a body, in its order. Whoever sends it says in how many pieces it comes, and each has its price, however short: those
 * that are short become one.
 */
export class Pieces {
  readonly #whole: Uint8Array[] = []
  #short: Uint8Array[] = []
  #shortBytes = 0

  /** Bytes of all. */
  length = 0

  add(piece: Uint8Array): void {
    this.length += piece.length
    this.#short.push(piece)
    this.#shortBytes += piece.length
    if (this.#shortBytes >= PIECE_BYTES || this.#short.length >= MAX_SHORT) this.#join()
  }

  list(): readonly Uint8Array[] {
    this.#join()
    return this.#whole
  }

  #join(): void {
    const [only, ...others] = this.#short
    if (only === undefined) return
    this.#whole.push(others.length === 0 ? only : Buffer.concat(this.#short))
    this.#short = []
    this.#shortBytes = 0
  }
}
