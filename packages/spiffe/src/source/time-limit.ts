/**
 * Aborts after a time, or when whoever asked does. Its timer is held: that of `AbortSignal.timeout`, given to
 * `AbortSignal.any`, goes with the signal when Node 20 collects garbage, and never comes.
 */
export class TimeLimit implements Disposable {
  readonly #controller = new AbortController()
  readonly #caller: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor(ms: number, caller: AbortSignal) {
    this.#caller = caller
    this.#timer = setTimeout(() => this.#controller.abort(new Error(`nothing within ${ms} ms`)), ms)
    if (caller.aborted) this.#leave()
    else caller.addEventListener('abort', this.#leave)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#caller.removeEventListener('abort', this.#leave)
  }

  readonly #leave = (): void => this.#controller.abort(this.#caller.reason)
}
