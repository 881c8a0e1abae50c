import { onAbort } from '@kest/core'

/** How long somebody waits. */
export interface Patience {
  readonly timeoutMs: number
  /** Aborts when whoever asked has left. */
  readonly signal: AbortSignal | null
}

/** Somebody who waits until he is told, within a time and as long as his caller stays, who has not left yet. */
export class Waiting {
  readonly done: Promise<void>
  #settle!: (error?: Error) => void

  /**
   * @param late the error when time runs out
   * @param left the error when the caller leaves
   * @param onGivenUp called in both cases, before the promise rejects
   */
  constructor(
    { timeoutMs, signal }: Patience,
    late: () => Error,
    left: () => Error,
    onGivenUp: (waiting: Waiting) => void,
  ) {
    this.done = new Promise((resolve, reject) => {
      const giveUp = (error: Error): void => {
        onGivenUp(this)
        this.#settle(error)
      }
      let leave = (): void => {}
      const timer = setTimeout(() => giveUp(late()), timeoutMs)
      this.#settle = (error) => {
        clearTimeout(timer)
        leave()
        if (error === undefined) resolve()
        else reject(error)
      }
      if (signal) leave = onAbort(signal, () => giveUp(left()))
    })
  }

  /** What is waited for has come; with an error, it will not. */
  settle(error?: Error): void {
    this.#settle(error)
  }
}
