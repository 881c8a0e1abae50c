import { types } from 'node:util'
import { KestConfigError } from '../errors.js'
import type { ArrivedRequest, ArrivedResponse } from './arrived.js'
import { hasLeft, onceOver } from './departure.js'

/** How long a request's states are good for after its response is closed, where nobody knows whether its handler is done. */
export const STATE_GRACE_MS = 10_000

/**
 * Ends what was opened for a request; `graceMs` later, where it is not 0. `left`: whether the response was closed before anybody had
 * ended it. For a request that has left already it is called while the term is made.
 */
export type EndStates = (graceMs: number, left: boolean) => void

/**
 * When the states of a request end, for adapters (K-STATE): when its response is closed, sent or not, *and* its handlers
 * have settled, if the adapter knows what they answer. Where it does not (handlers that take callbacks, hijacked
 * responses), some time after the close. No timer is set, and what is listened to is gone with the response.
 *
 * @example
 * ```ts
 * const term = new RequestTerm(request, response, { graceMs, end: (graceMs) => operation.settle(graceMs) })
 * return term.handle(() => handler(request, response))
 * ```
 */
export class RequestTerm {
  readonly #graceMs: number
  readonly #end: EndStates
  readonly #failed: (() => void) | undefined
  #handlers = 0
  #running = 0
  #known = false
  #closed = false
  #left = false

  /** Whether the response was closed before anybody had ended it: what is answered afterwards reaches nobody. */
  get left(): boolean {
    return this.#left
  }

  /** Whether the response is closed: what is opened for the request now is to be ended at once. */
  get closed(): boolean {
    return this.#closed
  }

  constructor(
    request: ArrivedRequest,
    response: ArrivedResponse,
    {
      graceMs,
      end,
      failed,
    }: {
      readonly graceMs: number
      readonly end: EndStates
      /** Told when a handler's promise rejects, before the end. */
      readonly failed?: (() => void) | undefined
    },
  ) {
    this.#graceMs = graceMs
    this.#end = end
    this.#failed = failed
    const close = (): void => {
      this.#closed = true
      this.#left = !response.writableEnded
      this.#endIfOver()
    }
    if (hasLeft(request, response)) close()
    else onceOver(request, response, close)
  }

  /**
   * Runs a handler and takes note of what it answers; that of the handler that is reached last says whether its end is
   * known. Only a promise of the language's own does: to look at what merely has a `then` may begin its work.
   *
   * @returns what to hand on: a rejection is still unhandled where nobody handles it
   */
  handle(handler: () => unknown): unknown {
    const n = ++this.#handlers
    const answer = handler()
    const known = types.isPromise(answer)
    if (n === this.#handlers) this.#known = known
    if (!known) return answer
    this.#running++
    const settled = (): void => {
      this.#running--
      this.#endIfOver()
    }
    return answer.then(
      (value) => {
        settled()
        return value
      },
      (error) => {
        this.#failed?.()
        settled()
        throw error
      },
    )
  }

  #endIfOver(): void {
    if (this.#closed && this.#running === 0) this.#end(this.#known ? 0 : this.#graceMs, this.#left)
  }
}

/** @throws {KestConfigError} naming `where`, for what is no number of milliseconds */
export function toStateGraceMs(where: string, graceMs: unknown = STATE_GRACE_MS): number {
  if (Number.isSafeInteger(graceMs) && (graceMs as number) >= 0) return graceMs as number
  throw new KestConfigError(`${where}.stateGraceMs: expected a number of milliseconds, an integer`)
}
