/** That the time is up. */
export class TimeIsUp extends Error {
  override readonly name = 'TimeIsUp'
}

/** Ends what is under way when the time is up, or when whoever asked has left. Disposed of, it ends nothing. */
export class Deadline implements Disposable {
  readonly #controller = new AbortController()
  readonly #caller: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor(caller: AbortSignal, timeoutMs: number) {
    this.#caller = caller
    this.#timer = setTimeout(() => this.#controller.abort(new TimeIsUp(`${timeoutMs} ms`)), timeoutMs)
    if (caller.aborted) this.#leave()
    else caller.addEventListener('abort', this.#leave)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What `promise` becomes, if that is in time. @throws the signal's reason otherwise */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this
    let leave: (() => void) | undefined
    const over = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason)
      if (signal.aborted) leave()
      else signal.addEventListener('abort', leave)
    })
    try {
      return await Promise.race([promise, over])
    } finally {
      signal.removeEventListener('abort', leave as () => void)
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#caller.removeEventListener('abort', this.#leave)
  }

  readonly #leave = (): void => this.#controller.abort(this.#caller.reason)
}
