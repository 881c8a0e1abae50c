/** Names that are told apart in one count, and characters of each: who signs invents as many as it likes. */
const MAX_NAMES = 32
const MAX_NAME = 300

/** Names and how often each came, the first of them; the others are counted together. */
export class NameCount {
  readonly #counts = new Map<string, number>()
  #others = 0

  add(name: string, times = 1): void {
    const kept = name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name
    const known = this.#counts.get(kept)
    if (known !== undefined) this.#counts.set(kept, known + times)
    else if (this.#counts.size < MAX_NAMES) this.#counts.set(kept, times)
    else this.#others += times
  }

  /** The most frequent first. */
  get names(): readonly (readonly [name: string, times: number])[] {
    return [...this.#counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  }

  get others(): number {
    return this.#others
  }
}

/** The least and the most of some numbers. */
export class Range {
  least = Number.POSITIVE_INFINITY
  most = Number.NEGATIVE_INFINITY

  add(value: number): void {
    this.least = Math.min(this.least, value)
    this.most = Math.max(this.most, value)
  }

  get isEmpty(): boolean {
    return this.least > this.most
  }
}
