import { type AwaitedReceipt, isPromise, takeReceipts } from '@kest/core'
import type { Around } from './own-context.js'

/** What undici's second generation of handlers is given, as far as it is needed here. */
interface Controller {
  rawHeaders?: unknown
  rawTrailers?: unknown
  pause?(): void
  resume?(): void
  abort?(reason: unknown): void
}

type Tell = () => unknown

/**
 * Takes the receipt of one dispatch out of its answer, before whoever waits for that sees it (K-RECEIPT): out of the head that
 * counts, and out of informational heads and trailers, where it counts for nothing. Until the receipt was looked at the answer
 * is held; where it does not hold, the request fails instead.
 *
 * @param fail tells whoever waits
 */
export function takingReceipt(receipt: AwaitedReceipt, fail: (error: unknown) => void): Around {
  const answer = new HeldAnswer(receipt, fail)
  return {
    onConnect: (connect) => (abort, context) => {
      answer.abort = abort as (reason: unknown) => void
      return connect(abort, context)
    },
    onRequestStart: (start) => (controller, context) => {
      answer.abort = (reason) => (controller as Controller).abort?.(reason)
      return start(controller, context)
    },
    onHeaders: (take) => (status, headers, resume, text) => {
      const { headers: others, values } = takeReceipts(headers)
      const tell = (): unknown => take(status, others, resume, text)
      if (isInformational(status)) return answer.pass(tell)
      return answer.begin(values, tell, () => (resume as (() => void) | undefined)?.())
    },
    onResponseStart: (start) => (given, status, headers, text) => {
      const controller = given as Controller | null
      const { headers: others, values } = takeReceipts(headers)
      strip(controller, 'rawHeaders')
      const tell = (): unknown => start(controller, status, others, text)
      if (isInformational(status)) return answer.pass(tell)
      const held = answer.begin(values, tell, () => controller?.resume?.())
      if (answer.isHeld) controller?.pause?.()
      return held
    },
    onData: (take) => (chunk) => answer.pass(() => take(chunk)),
    onResponseData: (take) => (controller, chunk) => answer.pass(() => take(controller, chunk)),
    onComplete: (complete) => (trailers) => answer.pass(() => complete(takeReceipts(trailers).headers)),
    onResponseEnd: (end) => (controller, trailers) => {
      strip(controller as Controller | null, 'rawTrailers')
      return answer.pass(() => end(controller, takeReceipts(trailers).headers))
    },
    onError: (tell) => (error) => answer.end(() => tell(error)),
    onResponseError: (tell) => (controller, error) => answer.end(() => tell(controller, error)),
  }
}

/** What one dispatch is answered, as long as its receipt was not looked at. */
class HeldAnswer {
  /** Ends the request. */
  abort: ((reason: unknown) => void) | undefined
  readonly #receipt: AwaitedReceipt
  readonly #fail: (error: unknown) => void
  #held: Tell[] | null = null
  #failed = false

  constructor(receipt: AwaitedReceipt, fail: (error: unknown) => void) {
    this.#receipt = receipt
    this.#fail = fail
  }

  get isHeld(): boolean {
    return this.#held !== null
  }

  /** The head that counts has come. `false` is what holds an answer of undici's first generation. */
  begin(values: readonly string[], tell: Tell, resume: () => void): unknown {
    try {
      const looking = this.#receipt.arrived(values)
      if (!isPromise(looking)) return tell()
      this.#held = []
      looking.then(
        () => this.#release(tell, resume),
        (error: unknown) => this.#refuse(error),
      )
    } catch (error) {
      this.#refuse(error)
    }
    return false
  }

  /** Whatever comes beside or after it: told now, in its turn, or never. */
  pass(tell: Tell): unknown {
    if (this.#failed) return false
    if (this.#held === null) return tell()
    this.#held.push(tell)
    return false
  }

  /** The request has failed, or was aborted: nobody waits for what is held. */
  end(tell: Tell): unknown {
    if (this.#failed) return undefined
    this.#failed = true
    this.#held = null
    return tell()
  }

  #release(tell: Tell, resume: () => void): void {
    if (this.#failed) return
    const held = this.#held ?? []
    this.#held = null
    try {
      let goesOn = tell()
      for (const next of held) goesOn = next()
      if (goesOn !== false) resume()
    } catch (error) {
      this.#refuse(error)
    }
  }

  #refuse(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#held = null
    this.#fail(error)
    this.abort?.(error)
  }
}

function isInformational(status: unknown): boolean {
  return typeof status === 'number' && status < 200
}

function strip(controller: Controller | null, name: 'rawHeaders' | 'rawTrailers'): void {
  const raw = controller?.[name]
  if (!Array.isArray(raw)) return
  const { headers, values } = takeReceipts(raw)
  if (values.length > 0 && controller !== null) controller[name] = headers
}
