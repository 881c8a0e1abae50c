import type { ArrivedRequest, ArrivedResponse } from '../ingress/arrived.js'
import { hasLeft, onceOver } from '../ingress/departure.js'

/** Whoever waits for the response, and whether he still does. */
export class Caller {
  /** While true, any end of the response means that there is nothing left to decide (a time-out answers, too). */
  deciding = true
  readonly #response: ArrivedResponse
  readonly #controller = new AbortController()

  constructor(request: ArrivedRequest, response: ArrivedResponse) {
    this.#response = response
    // Not the request's `close`: that comes as soon as the body has been read.
    if (hasLeft(request, response)) this.#controller.abort()
    else onceOver(request, response, () => this.#gone())
  }

  /** Aborts when the caller leaves before he has his response. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  #gone(): void {
    if (this.deciding || !this.#response.writableEnded) this.#controller.abort()
  }
}
