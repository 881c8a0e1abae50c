/** Things that hang together, found by their links. */
export class Components {
  readonly #leaders = new Map<string, string>()

  join(one: string, other: string): void {
    const [a, b] = [this.of(one), this.of(other)]
    if (a !== b) this.#leaders.set(a, b)
  }

  /** The same for all that hang together. */
  of(name: string): string {
    let leader = name
    for (let next = this.#leaders.get(leader); next !== undefined; next = this.#leaders.get(leader))
      leader = next
    // So that the next who asks has a short way.
    if (leader !== name) this.#leaders.set(name, leader)
    return leader
  }
}
