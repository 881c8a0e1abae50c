import type { Frame } from '../context/frame.js'
import type { ParsedEntry } from '../entry/parse.js'
import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import type { MaybePromise } from '../maybe-promise.js'
import { effectiveOf } from '../trust/effective.js'
import { assertSigned, type Dispatched, readReceipt } from './check-receipt.js'
import type { ReceiptDesk } from './receipt-desk.js'

/** For clients: the receipt that one dispatch has asked for (K-RECEIPT). */
export interface AwaitedReceipt {
  /** What names the dispatch. */
  readonly nonce: string
  /**
   * The dispatch was answered. Until this settles the application must not have the answer, and where it fails it gets the
   * error instead. Looked at once: later calls do nothing.
   *
   * @param values of the header {@link RECEIPT_HEADER} of the final response; none: `[]`
   * @throws {KestError} `ERR_KEST_RECEIPT`, at once or by the promise
   */
  arrived(values: readonly string[]): MaybePromise<void>
  /**
   * Nothing will be read that could have a receipt, as of a connection that is handed over: said before it is sent.
   * @throws {KestError} `ERR_KEST_RECEIPT` where there must be one
   */
  unavailable(why: string): void
}

/** What one dispatch waits for. It is all that is kept of it: who gets no answer keeps nothing. */
export class DispatchReceipt implements AwaitedReceipt {
  readonly #desk: ReceiptDesk
  readonly #dispatched: Dispatched
  readonly #frame: Frame
  #looked = false

  constructor(desk: ReceiptDesk, dispatched: Dispatched, frame: Frame) {
    this.#desk = desk
    this.#dispatched = dispatched
    this.#frame = frame
  }

  get nonce(): string {
    return this.#dispatched.nonce
  }

  arrived(values: readonly string[]): MaybePromise<void> {
    if (this.#looked) return
    this.#looked = true
    if (values.length === 0) return this.#absent()
    const desk = this.#desk
    try {
      const now = desk.clock.now()
      const receipt = readReceipt(values, this.#dispatched, { limits: desk.limits, now })
      const signed = inTime(assertSigned(receipt, desk.verifying), { ms: desk.timeoutMs, late: keysLate })
      return signed.then(() => this.#take(receipt)).catch((error: unknown) => this.#refuse(error))
    } catch (error) {
      return this.#refuse(error)
    }
  }

  unavailable(why: string): void {
    if (this.#desk.options.mode === 'require') {
      const { origin } = this.#dispatched
      throw new KestError(
        'ERR_KEST_RECEIPT',
        `${origin}: no receipt can come back by ${why}; it was not sent (K-RECEIPT)`,
      )
    }
    this.#looked = true
    this.#desk.metrics.receipt('absent')
  }

  #absent(): void {
    const { metrics, options } = this.#desk
    metrics.receipt('absent')
    if (options.mode === 'accept') return
    throw new KestError(
      'ERR_KEST_RECEIPT',
      `${this.#dispatched.origin} answered without a receipt; whether it has acted is not known (K-RECEIPT)`,
    )
  }

  #take(receipt: ParsedEntry): void {
    const desk = this.#desk
    const { tips } = this.#dispatched
    const { receipts } = this.#frame.open
    if (desk.options.follow) {
      const { trustScore, taints } = effectiveOf(receipt.entry, tips, desk.rules())
      receipts.follow([{ trustScore, taints }])
    }
    const named = receipts.hold(receipt.hash)
    const recorded = desk.spans.receipt(receipt, tips[0]?.principal)
    desk.taken({ named, recorded })
  }

  #refuse(cause: unknown): never {
    const { origin } = this.#dispatched
    const why = cause instanceof KestError ? cause.message : 'it could not be checked'
    const error = new KestError(
      'ERR_KEST_RECEIPT',
      `${origin} answered with a receipt that does not hold: ${why}; whether it has acted is not known (K-RECEIPT)`,
      { cause },
    )
    this.#desk.wrong(origin, error)
    throw error
  }
}

function keysLate(ms: number): KestError {
  return new KestError('ERR_KEST_KEYS_UNAVAILABLE', `nobody said within ${ms} ms whose key it is`)
}
