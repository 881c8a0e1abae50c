import { LazyAbort } from './lazy-abort.js'

/** What an engine does for several questions that were asked at once. It is aborted when the last of them needs no answer. */
export class SharedWork<T> {
  readonly #needed: Set<T>
  readonly #work = new LazyAbort()

  constructor(questions: Iterable<T>) {
    this.#needed = new Set(questions)
  }

  /** What the engine is given. Made only for engines that look at it. */
  get signal(): AbortSignal {
    return this.#work.signal
  }

  answered(question: T): void {
    this.#needed.delete(question)
  }

  /** Nobody waits for this one any more, and why. */
  left(question: T, reason: unknown): void {
    if (this.#needed.delete(question) && this.#needed.size === 0) this.#work.abort(reason)
  }
}
