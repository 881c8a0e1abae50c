/** Handlers that have begun and not ended: who closes waits for them, who crashes does not. */
export class UnderWay {
  readonly #all = new Set<Promise<unknown>>()

  async track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => {},
      () => {},
    )
    this.#all.add(settled)
    try {
      return await work
    } finally {
      this.#all.delete(settled)
    }
  }

  async ended(): Promise<void> {
    await Promise.all(this.#all)
  }
}
