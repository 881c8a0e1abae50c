import { randomUUID } from 'node:crypto'

/**
 * Numbers the entries that an instance emits, `<uuid>:<n>` from 1 (K-AUDIT): an auditor who misses a number knows
 * that a span was lost. A number whose entry could not be signed goes to the next entry, so that a failing key
 * makes no gap.
 */
export class Sequence {
  readonly #prefix = `${randomUUID()}:`
  readonly #returned: number[] = []
  #last = 0

  take(): number {
    return this.#returned.pop() ?? ++this.#last
  }

  giveBack(n: number): void {
    this.#returned.push(n)
  }

  label(n: number): string {
    return this.#prefix + n
  }
}
