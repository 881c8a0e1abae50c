import { KestError } from './errors.js'
import { onAbort } from './on-abort.js'

/** How long an answer is waited for. */
export interface Patience {
  /** Milliseconds; default: as long as it takes. */
  readonly ms?: number
  /** What whoever asked has not waited for, in words for `ERR_KEST_ABORTED`. */
  readonly what?: string
  /** Aborts when whoever asked has left. */
  readonly signal?: AbortSignal | null | undefined
  /** What is thrown when the time is over. */
  readonly late?: (ms: number) => KestError
  /** Told that nobody waits any more, and why. */
  readonly onGivenUp?: (reason: KestError) => void
}

/**
 * Somebody else's answer, unless time or patience runs out first: what never settles must not hold a request for ever. What
 * comes of it afterwards is ignored.
 *
 * @throws {KestError} what `late` makes; `ERR_KEST_ABORTED` when `signal` aborts first; what the answer rejects with
 */
export function inTime<T>(answer: Promise<T>, patience: Patience): Promise<T> {
  const { ms, what = 'it was answered', signal, late, onGivenUp } = patience
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    let leave = (): void => {}
    const finish = (): void => {
      clearTimeout(timer)
      leave()
    }
    const giveUp = (reason: KestError): void => {
      finish()
      reject(reason)
      onGivenUp?.(reason)
    }
    const left = (): void =>
      giveUp(new KestError('ERR_KEST_ABORTED', `the caller left before ${what}`, { cause: signal?.reason }))
    if (ms !== undefined && late !== undefined) timer = setTimeout(() => giveUp(late(ms)), ms)
    if (signal) leave = onAbort(signal, left)
    answer.then(
      (value) => {
        finish()
        resolve(value)
      },
      (cause: unknown) => {
        finish()
        reject(cause)
      },
    )
  })
}
