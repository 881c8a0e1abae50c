import { IdTable } from '@kest/audit'
import { sha256Hex } from '@kest/core'

/** Characters of a digest that tell a key apart: 128 bits. */
const DIGEST = 32

/** Where in a partition the last record of each key lies: 32 bytes for a slot of a table, of which 35 to 70 of a hundred are taken. */
export class LastOffsets {
  readonly #table = new IdTable()

  /** Keys that are told apart. */
  get size(): number {
    return this.#table.size
  }

  set(key: string, offset: number): void {
    this.#table.set(digestOf(key), { offset, mark: 0 })
  }

  isLast(key: string, offset: number): boolean {
    return this.#table.get(digestOf(key))?.offset === offset
  }
}

function digestOf(key: string): string {
  return sha256Hex(key).slice(0, DIGEST)
}
