import type { Dispatcher } from 'undici'
import type { Connection, Connections, Line, Sending, Traveller } from './connection.js'
import { type Endable, type Scope, TimeIsUp } from './deadline.js'

/** How long an answer that nobody needs any more may take to come. */
const LINGER_MS = 100

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
  #closing: NodeJS.Timeout | undefined
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

  /**
   * Whoever waits is told at once. The connection could only be closed, and a new one costs both sides more than most answers:
   * it has a moment to bring the answer that nobody needs any more, unless the time was up.
   */
  end(reason: unknown): void {
    this.#ended = { reason: reason as Error }
    this.#reject(reason)
    const close = (): void => this.#controller?.abort(reason as Error)
    if (reason instanceof TimeIsUp) close()
    else if (this.#controller !== undefined) this.#closing = setTimeout(close, LINGER_MS).unref()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Undici gives it up then, and keeps the connection.
    if (this.#ended !== undefined) throw this.#ended.reason
    this.#controller = controller
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
    clearTimeout(this.#closing)
    if (this.#line !== undefined) this.#line.used = true
    const [only, ...others] = this.#chunks
    const whole = only === undefined || others.length > 0 ? Buffer.concat(this.#chunks) : only
    this.#resolve({ status: this.#status, text: whole.toString('utf8') })
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#closing)
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
