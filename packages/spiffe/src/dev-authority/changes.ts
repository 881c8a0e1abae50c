/** Who wants to know that something changed. What it is now they read themselves. */
export class Changes {
  readonly #listeners = new Set<() => void>()

  /** @returns how to stop listening */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  emit(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
