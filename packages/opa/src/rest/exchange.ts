import type { Dispatcher } from 'undici'
import type { Connection, Connections, Line, Sending, Traveller } from './connection.js'
import type { Endable, Scope } from './deadline.js'

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
 * One request and its answer, read up to a bound and not beyond. No redirect is followed, and no answer is asked for again.
 *
 * A connection that is kept open may be closed by the other side while the question is on its way. Where it had served
 * before, and not a byte of an answer has come, nothing was answered, so the question is asked once more on a new connection
 * (K-ASK): it changes nothing where it arrives. What becomes of that one counts.
 *
 * @param scope ends it, also while it waits for a connection; the promise then rejects with the scope's reason
 * @throws {AnswerTooLarge} and whatever undici says of a connection that fails
 */
export async function exchange(
  { kept, fresh }: Connections,
  question: Question,
  maxBytes: number,
  scope: Scope,
): Promise<Answer> {
  const first = new Exchange(maxBytes)
  try {
    return await first.over(kept, { ...question, traveller: first }, scope)
  } catch (error) {
    if (!first.unheard || scope.over) throw error
    return await new Exchange(maxBytes).over(fresh, { ...question, reset: true }, scope)
  }
}

class Exchange implements Dispatcher.DispatchHandler, Endable, Traveller {
  /** Whether the other side closed the connection without having said anything to this question. */
  unheard = false
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #status = 0
  #controller: Dispatcher.DispatchController | undefined
  #ended: { readonly reason: Error } | undefined
  #connection: Connection | undefined
  /** Over what it goes, and how much had come over it before. */
  #line: Line | undefined
  #before = 0
  #resolve: (answer: Answer) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  async over(
    dispatcher: Dispatcher,
    question: Sending | Dispatcher.DispatchOptions,
    scope: Scope,
  ): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    scope.add(this)
    try {
      if (this.#ended === undefined) dispatcher.dispatch(question, this)
      return await answer
    } finally {
      scope.done(this)
    }
  }

  goesBy(connection: Connection): void {
    this.#connection = connection
    this.#notice()
  }

  end(reason: unknown): void {
    this.#ended = { reason: reason as Error }
    this.#reject(reason)
    this.#controller?.abort(this.#ended.reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#ended !== undefined) {
      controller.abort(this.#ended.reason)
      return
    }
    // It may be another than when it was dispatched.
    this.#notice()
  }

  onResponseStart(_: Dispatcher.DispatchController, statusCode: number): void {
    this.#status = statusCode
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes)
      controller.abort(new AnswerTooLarge(`more than ${this.#maxBytes} bytes`))
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.#line !== undefined) this.#line.used = true
    const [only, ...others] = this.#chunks
    const whole = only === undefined || others.length > 0 ? Buffer.concat(this.#chunks) : only
    this.#resolve({ status: this.#status, text: whole.toString('utf8') })
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    const line = this.#line
    this.unheard =
      this.#ended === undefined &&
      line?.used === true &&
      line.socket.destroyed &&
      line.socket.bytesRead === this.#before
    this.#reject(error)
  }

  #notice(): void {
    this.#line = this.#connection?.line
    this.#before = this.#line?.socket.bytesRead ?? 0
  }
}
