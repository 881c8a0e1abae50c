import { randomUUID } from 'node:crypto'

/** A number of an entry to come. */
export interface SequenceNumber {
  /** As the entry states it: `<uuid>:<n>`. */
  readonly label: string
  /** Its entry could not be signed: the number goes to the next one of the same principal, so that a failing key makes no gap. */
  giveBack(): void
}

/**
 * Numbers the entries that an instance emits, `<uuid>:<n>` from 1 (K-AUDIT): an auditor who misses a number knows that
 * a span was lost. Each identity of the process has a uuid and numbers of its own: what one loses no other can fill.
 */
export class Sequence {
  readonly #numbers = new Map<string, Numbers>()

  take(principal: string): SequenceNumber {
    let numbers = this.#numbers.get(principal)
    if (numbers === undefined) {
      numbers = new Numbers()
      this.#numbers.set(principal, numbers)
    }
    return numbers.take()
  }
}

class Numbers {
  readonly #prefix = `${randomUUID()}:`
  readonly #returned: number[] = []
  #last = 0

  take(): SequenceNumber {
    const n = this.#returned.pop() ?? ++this.#last
    return { label: this.#prefix + n, giveBack: () => this.#returned.push(n) }
  }
}
