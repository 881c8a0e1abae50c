/** What has come and was not looked at yet, for one reader. */
export class Inbox<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #ended = false
  #wake: (() => void) | null = null

  put(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** Nothing comes any more: who reads gets what is there, and then the end. Idempotent. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** What is there, for nobody else any more. */
  drain(): readonly T[] {
    return this.#items.splice(0)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) yield item
      else if (this.#ended) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = null
      }
    }
  }
}
