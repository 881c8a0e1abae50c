import { type AuditFinding, finding } from '../finding.js'
import { NumberSet } from './number-set.js'

/** Gaps of one process that are told apart. */
const MAX_GAPS = 256

/** Entries and signed denials are numbered apart. */
export type NumberedKind = 'entry' | 'denial'

/** Which numbers there are. Bounded: what it has no room for it counts. */
export interface NumberStore {
  /** @returns whether it was not there before */
  add(number: number): boolean
  readonly beyond: number
  /** In ascending order, with a gap between each and the next. */
  ranges(): Iterable<readonly [from: number, to: number]>
}

/** How the numbers of one owner begin. */
export interface NumbersBegin {
  /** The least that was exported, and when its entry was made; `Infinity` when none was. */
  readonly first: number
  readonly firstMs: number
  /** The least that somebody else has; `Infinity` when nobody has any. */
  readonly known: number
}

const NOWHERE: NumbersBegin = {
  first: Number.POSITIVE_INFINITY,
  firstMs: Number.POSITIVE_INFINITY,
  known: Number.POSITIVE_INFINITY,
}

/** The numbers that one owner's entries, or denials, of a process have. */
export class ProcessNumbers {
  readonly principals: Set<string>
  readonly #name: string
  readonly #numbers: NumberStore
  #first: number
  #firstMs: number
  #known: number

  readonly #what: NumberedKind

  /**
   * @param name what is numbered, for findings
   * @param numbers where they are kept, with those that are there already; they begin as the others say
   */
  constructor(
    name: string,
    what: NumberedKind,
    numbers: NumberStore = new NumberSet(),
    { first, firstMs, known }: NumbersBegin = NOWHERE,
    principals: Iterable<string> = [],
  ) {
    this.#name = name
    this.#what = what
    this.#numbers = numbers
    this.#first = first
    this.#firstMs = firstMs
    this.#known = known
    this.principals = new Set(principals)
  }

  get begin(): NumbersBegin {
    return { first: this.#first, firstMs: this.#firstMs, known: this.#known }
  }

  /**
   * One of an entry that was exported.
   * @returns whether no entry had the number before
   */
  add(number: number, principal: string, timestampMs: number): boolean {
    this.principals.add(principal)
    if (number < this.#first) {
      this.#first = number
      this.#firstMs = timestampMs
    } else if (number === this.#first) this.#firstMs = Math.min(this.#firstMs, timestampMs)
    return this.#numbers.add(number)
  }

  /** One of an entry that was not, and that somebody else has: the process has come so far. */
  know(number: number): void {
    this.#known = Math.min(this.#known, number)
  }

  /** @param since when the first entry of whoever numbers was made, in whatever process; milliseconds */
  *start(since: number, maxDelayMs: number): Generator<AuditFinding> {
    if (this.#first === Number.POSITIVE_INFINITY || this.#first === 1) return
    const begins = `${this.#who()}: its numbers begin at ${this.#first}`
    if (this.#known < this.#first)
      yield finding('sequence-late', `${begins}, and a passport has number ${this.#known}`)
    else if (this.#firstMs - since > maxDelayMs) {
      const before = Math.round((this.#firstMs - since) / 1000)
      yield finding('sequence-late', `${begins}, ${before} s after the first ${this.#what} of its principal`)
    } else yield finding('sequence-start', begins)
  }

  /** @param upTo a number that is there; what misses after it is not judged */
  *gaps(upTo = Number.POSITIVE_INFINITY): Generator<AuditFinding> {
    const { beyond } = this.#numbers
    if (beyond > 0)
      yield finding('limit', `${this.#who()}: ${beyond} of its numbers lie too far apart to be judged`)
    let expected = this.#first
    let gaps = 0
    for (const [from, to] of this.#numbers.ranges()) {
      if (from > upTo) return
      if (from > expected) {
        if (gaps++ === MAX_GAPS) {
          yield finding('sequence-gap', `${this.#who()}: after number ${expected - 1}, more are missing`)
          return
        }
        const which =
          expected === from - 1 ? `number ${expected} is` : `numbers ${expected} to ${from - 1} are`
        yield finding('sequence-gap', `${this.#who()}: ${which} missing`)
      }
      expected = to + 1
    }
  }

  #who(): string {
    return `${this.#name} (${listed(this.principals)})`
  }
}

/** Names of a message. */
const MAX_NAMES = 8

export function listed(names: Iterable<string>): string {
  const all = [...names].sort()
  const shown = all.slice(0, MAX_NAMES).join(', ')
  return all.length > MAX_NAMES ? `${shown} and ${all.length - MAX_NAMES} more` : shown
}
