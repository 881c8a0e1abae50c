/** The writing of a destination, for its end: a flush may have given up waiting for it. */
export class UnderWay {
  #last: Promise<unknown> = Promise.resolve()

  /** Takes note of it, and answers it. */
  begin<T>(writing: Promise<T>): Promise<T> {
    this.#last = writing.catch(() => undefined)
    return writing
  }

  /** Resolves when what was begun has ended, also where it failed. */
  async ended(): Promise<void> {
    await this.#last
  }
}
