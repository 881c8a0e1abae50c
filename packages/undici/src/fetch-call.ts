/** One call of our fetch: whether its dispatches come past us, and whether one was answered a redirect. */
export class FetchCall {
  redirected = false
  #dispatched = false
  /** The call that this one is part of, where our fetch is wrapped by another of ours. */
  #outer: FetchCall | null
  #answered = false

  constructor(around: FetchCall | null) {
    this.#outer = around === null || around.#answered ? null : around
  }

  get dispatched(): boolean {
    return this.#dispatched
  }

  /** Whether `call` is this one, or part of it, and this one has no answer yet. */
  covers(call: FetchCall | null): boolean {
    if (this.#answered) return false
    for (let at = call; at !== null; at = at.#outer) if (at === this) return true
    return false
  }

  /** A dispatch came past us, whosever call it is of. */
  noteDispatch(): void {
    this.#dispatched = true
    this.#outer?.noteDispatch()
  }

  /** What begins in its context from now on is no part of it. */
  end(): void {
    this.#answered = true
    this.#outer = null
  }
}
