import { type AuditSlot, type AuditTrail, KestConfigError, KestError, type MaybePromise } from '@kest/core'
import type { SpanQueue } from './queue.js'
import { Waiting } from './waiting.js'

/** What the gate does when the queue is full, and before an operation runs. */
export interface GateOptions {
  readonly onFull: 'wait' | 'deny'
  /** Whether operations wait until their record is exported. */
  readonly confirm: boolean
  /** For room, and again for confirmation; milliseconds. */
  readonly waitTimeoutMs: number
}

/** Lets an operation go on when its record is safe: it has room in the queue, or is exported. */
export class Gate implements AuditTrail {
  readonly #queue: SpanQueue
  readonly #options: GateOptions
  #closed = false

  constructor(queue: SpanQueue, options: GateOptions) {
    this.#queue = queue
    this.#options = options
  }

  reserve(signal: AbortSignal | null): MaybePromise<AuditSlot> {
    if (this.#closed) throw unavailable('the audit trail is shut down')
    if (this.#queue.reserve()) return new Slot(this.#queue, this.#options, signal)
    const { onFull, waitTimeoutMs } = this.#options
    if (onFull === 'deny') throw unavailable('the queue of the audit trail is full')
    const late = () => unavailable(`no room in the queue of the audit trail within ${waitTimeoutMs} ms`)
    const waiting = waitOn(this.#queue, this.#options, signal, late)
    this.#queue.awaitRoom(waiting)
    return waiting.done.then(() => new Slot(this.#queue, this.#options, signal))
  }

  /** From now on every operation is refused, also those that wait. */
  close(): void {
    this.#closed = true
    this.#queue.close(unavailable('the audit trail is shut down'))
  }
}

class Slot implements AuditSlot {
  readonly #queue: SpanQueue
  readonly #options: GateOptions
  readonly #signal: AbortSignal | null
  #released = false

  constructor(queue: SpanQueue, options: GateOptions, signal: AbortSignal | null) {
    this.#queue = queue
    this.#options = options
    this.#signal = signal
  }

  recorded(spanId: string | undefined): MaybePromise<void> {
    const number = this.#queue.numberOf(spanId)
    this.release()
    if (number === null) {
      throw new KestConfigError(
        'the audit span did not come to the audit trail: configure({ telemetry }) with what setupTelemetry gave',
      )
    }
    if (!this.#options.confirm) return undefined
    const late = () => unavailable(`the record was not exported within ${this.#options.waitTimeoutMs} ms`)
    const waiting = waitOn(this.#queue, this.#options, this.#signal, late)
    this.#queue.awaitSpan(number, waiting)
    return waiting.done
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#queue.release()
  }
}

function waitOn(
  queue: SpanQueue,
  { waitTimeoutMs: timeoutMs }: GateOptions,
  signal: AbortSignal | null,
  late: () => KestError,
): Waiting {
  const left = () => new KestError('ERR_KEST_ABORTED', 'the caller left before the operation was recorded')
  if (signal?.aborted) throw left()
  return new Waiting({ timeoutMs, signal }, late, left, (waiting) => queue.forget(waiting))
}

function unavailable(message: string): KestError {
  return new KestError('ERR_KEST_AUDIT_UNAVAILABLE', message)
}
