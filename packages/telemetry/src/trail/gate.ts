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

/** Lets an operation go on when its record is safe: there is room for it in the queue, or it is exported. */
export class Gate implements AuditTrail {
  readonly queue: SpanQueue
  readonly options: GateOptions
  #closed = false

  constructor(queue: SpanQueue, options: GateOptions) {
    this.queue = queue
    this.options = options
  }

  get closed(): boolean {
    return this.#closed
  }

  reserve(signal: AbortSignal | null): MaybePromise<AuditSlot> {
    if (this.#closed) throw unavailable('the audit trail is shut down')
    if (this.queue.reserve()) return new Slot(this, signal)
    if (this.options.onFull === 'deny') throw unavailable('the queue of the audit trail is full')
    const waiting = waitAt(this, signal, 'no room in the queue of the audit trail')
    this.queue.awaitRoom(waiting)
    return waiting.done.then(() => new Slot(this, signal))
  }

  /** From now on every operation is refused, also those that wait. */
  close(): void {
    this.#closed = true
    this.queue.close(unavailable('the audit trail is shut down'))
  }
}

class Slot implements AuditSlot {
  readonly #gate: Gate
  readonly #signal: AbortSignal | null
  #released = false

  constructor(gate: Gate, signal: AbortSignal | null) {
    this.#gate = gate
    this.#signal = signal
  }

  recorded(spanId: string | undefined): MaybePromise<void> {
    const { queue, options, closed } = this.#gate
    const number = queue.numberOf(spanId)
    this.release()
    if (number === null) {
      if (closed) throw unavailable('the audit trail was shut down meanwhile')
      throw new KestConfigError(
        'the audit span did not come to the audit trail: configure({ telemetry }) with what setupTelemetry gave; where spanProcessor is in an SDK of your own, its sampler or suppressed tracing left the span out',
      )
    }
    if (!options.confirm) return undefined
    const waiting = waitAt(this.#gate, this.#signal, 'the record was not exported')
    queue.awaitSpan(number, waiting)
    return waiting.done
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#gate.queue.release()
  }
}

/** @throws {KestError} `ERR_KEST_ABORTED` when the caller has left already */
function waitAt({ queue, options }: Gate, signal: AbortSignal | null, what: string): Waiting {
  const { waitTimeoutMs: timeoutMs } = options
  const late = () => unavailable(`${what} within ${timeoutMs} ms`)
  const left = () => new KestError('ERR_KEST_ABORTED', 'the caller left before the operation was recorded')
  if (signal?.aborted) throw left()
  return new Waiting({ timeoutMs, signal }, late, left, (waiting) => queue.forget(waiting))
}

function unavailable(message: string): KestError {
  return new KestError('ERR_KEST_AUDIT_UNAVAILABLE', message)
}
