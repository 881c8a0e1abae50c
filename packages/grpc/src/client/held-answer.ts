import { type InterceptingListener, Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { type InContext, isPromise, type MaybePromise, toError } from '@kest/core'
import { takeReceipt } from '../receipt.js'

/** What gRPC itself adds to what it was answered. */
const ATTEMPTS = 'grpc-previous-rpc-attempts'

/**
 * With these gRPC ends calls by itself that nobody has answered. A peer can bring about each without an answer: by a reset, or by
 * silence.
 */
const UNANSWERED: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.PERMISSION_DENIED,
  status.RESOURCE_EXHAUSTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.UNAUTHENTICATED,
])

/** A timer waits no longer. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** A call that has asked for receipts, as far as its answer concerns it. */
export interface Asking {
  /** Milliseconds since the epoch; `Infinity`: none. */
  readonly deadline: number
  /** It was answered, after so many attempts: as `AwaitedReceipt.arrived`. */
  arrived(values: readonly string[], attempts: number): MaybePromise<void>
  /** Ends the call for gRPC: nothing more is read. */
  cancel(error: Error): void
  /** What the caller is told instead of an answer. */
  refusal(error: Error): StatusObject
}

/**
 * Takes the receipt of a call out of its answer, before whoever made it hears of that (K-RECEIPT): out of the initial metadata,
 * or out of the trailers of an answer that has nothing else; out of other trailers as well, where it counts for nothing. Until it
 * was looked at, metadata, messages and status are held, in their order: no more than one message of a stream, since no other is
 * asked for before it was told. Where it does not hold, the call ends with that instead.
 */
export class HeldAnswer implements InterceptingListener {
  readonly #listener: InterceptingListener
  readonly #inContext: InContext
  readonly #asking: Asking
  #phase: 'waiting' | 'held' | 'open' | 'over' = 'waiting'
  /** What was not told yet. */
  #held: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(listener: InterceptingListener, inContext: InContext, asking: Asking) {
    this.#listener = listener
    this.#inContext = inContext
    this.#asking = asking
  }

  onReceiveMetadata(metadata: Metadata): void {
    const values = takeReceipt(metadata)
    if (this.#phase === 'waiting') this.#look(values, metadata)
    this.#tell(() => this.#listener.onReceiveMetadata(metadata))
  }

  onReceiveMessage(message: unknown): void {
    this.#tell(() => this.#listener.onReceiveMessage(message))
  }

  onReceiveStatus(ended: StatusObject): void {
    const values = takeReceipt(ended.metadata)
    if (this.#phase === 'waiting') {
      // What ends a call on this side, or the connection, is nobody's answer.
      if (values.length > 0 || isAnswer(ended)) this.#look(values, ended.metadata)
      else this.#open()
    }
    this.#tell(() => this.#listener.onReceiveStatus(ended))
  }

  /** Whoever made the call does not wait any more; gRPC may be done with it by now. What is held is told to nobody. */
  stop(code: status, details = 'ended before its receipt was looked at'): void {
    if (this.#phase === 'held' || this.#held.length > 0)
      this.#end({ code, details, metadata: new Metadata() })
  }

  #look(values: readonly string[], metadata: Metadata): void {
    this.#phase = 'held'
    let looking: MaybePromise<void>
    try {
      looking = this.#inContext(() => this.#asking.arrived(values, attemptsBefore(metadata)))
    } catch (error) {
      process.nextTick(() => this.#refuse(error))
      return
    }
    if (!isPromise(looking)) {
      this.#open()
      return
    }
    this.#watchDeadline()
    // What a listener throws is not about the receipt.
    looking.then(
      () => process.nextTick(() => this.#open()),
      (error: unknown) => process.nextTick(() => this.#refuse(error)),
    )
  }

  #watchDeadline(): void {
    const left = this.#asking.deadline - Date.now()
    if (left <= MAX_TIMER_MS) this.#timer = setTimeout(() => this.stop(status.DEADLINE_EXCEEDED), left)
  }

  /** Now, in its turn, or never. */
  #tell(tell: () => void): void {
    if (this.#phase === 'open' && this.#held.length === 0) this.#inContext(tell)
    else if (this.#phase !== 'over') this.#held.push(tell)
  }

  #open(): void {
    if (this.#phase === 'over') return
    this.#phase = 'open'
    clearTimeout(this.#timer)
    this.#tellNext()
  }

  /** What a listener throws keeps no other from what comes next. */
  #tellNext(): void {
    const tell = this.#held.shift()
    if (tell === undefined) return
    try {
      this.#inContext(tell)
    } finally {
      this.#tellNext()
    }
  }

  #refuse(reason: unknown): void {
    if (this.#phase === 'over') return
    const error = toError(reason)
    this.#end(this.#asking.refusal(error))
    this.#asking.cancel(error)
  }

  /** As gRPC does, it tells nobody within a call of his. */
  #end(ended: StatusObject): void {
    this.#phase = 'over'
    clearTimeout(this.#timer)
    this.#held = []
    process.nextTick(() => this.#inContext(() => this.#listener.onReceiveStatus(ended)))
  }
}

function isAnswer({ code, metadata }: StatusObject): boolean {
  return !UNANSWERED.has(code) || Object.keys(metadata.getMap()).some((name) => name !== ATTEMPTS)
}

/** Where there were any, gRPC says it, whatever a callee does; where not, a callee may claim it. */
function attemptsBefore(metadata: Metadata): number {
  const [value] = metadata.get(ATTEMPTS)
  return Math.max(0, Number(value ?? 0) || 0)
}
