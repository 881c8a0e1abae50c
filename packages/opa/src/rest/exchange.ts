import type { Dispatcher } from 'undici'

/** What is asked. */
export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

export interface Answer {
  readonly status: number
  readonly text: string
}

/** An answer that is longer than it may be. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge'
}

/**
 * One request and its answer, read up to a bound and not beyond. No redirect is followed, nothing is tried again.
 *
 * @param signal ends it, also while it waits for a connection; the promise then rejects with the signal's reason
 * @throws {AnswerTooLarge} and whatever undici says of a connection that fails
 */
export function exchange(
  dispatcher: Dispatcher,
  question: Question,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let abort: ((reason: Error) => void) | undefined
    let status = 0
    let bytes = 0
    const chunks: Buffer[] = []
    const onAbort = (): void => {
      reject(signal.reason)
      abort?.(signal.reason as Error)
    }
    const settle = (): void => signal.removeEventListener('abort', onAbort)
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    signal.addEventListener('abort', onAbort)
    dispatcher.dispatch(question, {
      onRequestStart(controller) {
        abort = (reason) => controller.abort(reason)
        if (signal.aborted) abort(signal.reason as Error)
      },
      onResponseStart(_, statusCode) {
        status = statusCode
      },
      onResponseData(controller, chunk) {
        bytes += chunk.length
        if (bytes > maxBytes) controller.abort(new AnswerTooLarge(`more than ${maxBytes} bytes`))
        else chunks.push(chunk)
      },
      onResponseEnd() {
        settle()
        resolve({ status, text: Buffer.concat(chunks).toString('utf8') })
      },
      onResponseError(_, error) {
        settle()
        reject(error)
      },
    })
  })
}
