/** Things that hang together, found by their links: about constant time for each, in whatever order they come. */
export class Components {
  readonly #leaders = new Map<string, string>()
  readonly #sizes = new Map<string, number>()

  join(one: string, other: string): void {
    const [a, b] = [this.of(one), this.of(other)]
    if (a === b) return
    const [sizeA, sizeB] = [this.#sizes.get(a) ?? 1, this.#sizes.get(b) ?? 1]
    // The smaller follows the larger, so that no way is long.
    const [follower, leader] = sizeA < sizeB ? [a, b] : [b, a]
    this.#leaders.set(follower, leader)
    this.#sizes.set(leader, sizeA + sizeB)
  }

  /** The same for all that hang together. */
  of(name: string): string {
    let at = name
    for (let next = this.#leaders.get(at); next !== undefined; next = this.#leaders.get(at)) {
      const beyond = this.#leaders.get(next)
      if (beyond === undefined) return next
      // So that the next who asks has half the way.
      this.#leaders.set(at, beyond)
      at = beyond
    }
    return at
  }
}
