import { Failure } from '../failure.js'

/** Exit codes by convention: 128 and the number of the signal. */
const INTERRUPTS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/**
 * What can end the lab before its time: an interrupt, a program that dies, somebody who gives up. All of it is one signal,
 * which everything that waits listens to.
 */
export class Watch {
  /** What an interrupt makes this process exit with. */
  exitCode: number | undefined
  readonly #controller = new AbortController()
  readonly #interrupt = (name: keyof typeof INTERRUPTS): void => {
    this.exitCode = INTERRUPTS[name]
    // Asked twice: at once. The warden ends what is left.
    if (this.signal.aborted) process.exit(this.exitCode)
    this.giveUp(new Failure(`stopped by ${name}`))
  }

  constructor() {
    for (const name of Object.keys(INTERRUPTS)) process.on(name, this.#interrupt)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Only the first reason counts. */
  giveUp(reason: Error): void {
    this.#controller.abort(reason)
  }

  /** What `promise` becomes, unless it is given up before: then it rejects with the reason. */
  wait<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(signal.reason)
      if (signal.aborted) giveUp()
      else signal.addEventListener('abort', giveUp, { once: true })
      promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
    })
  }

  end(): void {
    for (const name of Object.keys(INTERRUPTS)) process.off(name, this.#interrupt)
  }
}
