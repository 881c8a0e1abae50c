import { KestError, PolicyDeniedError } from '../errors.js'
import { onAbort } from '../on-abort.js'
import type { Decision, PolicyRequest } from './engine.js'

/**
 * One question under way that several wait for. Each may leave when its own signal aborts; whoever asks the engine is told
 * when the last one has left.
 */
export class DecisionFlight {
  readonly #onLost: () => void
  readonly #onLeft: (reason: unknown) => void
  #answer: Promise<boolean | Decision> | undefined
  #waiting = 0

  /**
   * @param onLost called when nobody should join any more: all have left, or it was too late for one of them
   * @param onLeft called when the last one has left, with why
   */
  constructor(onLost: () => void, onLeft: (reason: unknown) => void) {
    this.#onLost = onLost
    this.#onLeft = onLeft
  }

  /** From here on it can be joined. */
  start(answer: Promise<boolean | Decision>): void {
    this.#answer = answer
  }

  /** The answer; or, when `signal` aborts first, its reason. A refusal names who asked, not who asked first. */
  join({ entryId }: PolicyRequest, signal: AbortSignal): Promise<boolean | Decision> {
    this.#waiting++
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        reject(signal.reason)
        this.#leave(signal.reason)
      }
      const stay = onAbort(signal, leave)
      this.#answer?.then(
        (answer) => {
          stay()
          resolve(answer)
        },
        (error: unknown) => {
          stay()
          reject(addressed(error, entryId))
        },
      )
    })
  }

  /** Who leaves by choice says nothing about the engine; for whom it was too late does, and nobody joins after that. */
  #leave(reason: unknown): void {
    this.#waiting--
    const byChoice = reason instanceof KestError && reason.code === 'ERR_KEST_ABORTED'
    if (this.#waiting === 0 || !byChoice) this.#onLost()
    if (this.#waiting === 0) this.#onLeft(reason)
  }
}

function addressed(error: unknown, entryId: string): unknown {
  if (!(error instanceof PolicyDeniedError) || error.entryId === entryId) return error
  const { code, policies, reason, cause } = error
  return new PolicyDeniedError(code, {
    policies,
    entryId,
    reason,
    ...(cause === undefined ? {} : { cause }),
  })
}
