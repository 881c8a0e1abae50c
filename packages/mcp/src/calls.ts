import { currentState, KestError, type KestState, type Operation, type Outcome } from '@kest/core'
import type { MessageId } from './message.js'

/** As many are under way on one connection at most: one that leaves its requests open must not fill the process. */
const MAX_CALLS = 10_000

/** A request that is judged, or runs. */
export class Call {
  readonly #controller = new AbortController()
  #operation: Operation | null = null
  /** That of a request that was judged here; its opener ends it. */
  #received: KestState | null = null
  readonly isOpen: boolean

  /** @param isOpen whether it is of those that are no operation */
  constructor(isOpen: boolean) {
    this.isOpen = isOpen
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  receives(state: KestState): void {
    this.#received = state
  }

  /** What its caller is answered with, where it asks for that (K-RECEIPT). Of what an adapter has judged, that answers it. */
  get receipt(): string | null {
    return this.#received?.call?.receipt ?? null
  }

  begins(operation: Operation): void {
    this.#operation = operation
  }

  isRunIn(state: KestState | null): boolean {
    return state !== null && state === this.#operation?.state
  }

  /** Nobody waits for it: what has not begun does not begin (K-STATE). */
  abort(): void {
    this.#controller.abort()
  }

  end(outcome: Outcome, graceMs = 0): void {
    this.#operation?.settle(graceMs, outcome)
    this.#received?.lifetime.end(graceMs)
  }
}

/** The requests of one connection, until they are answered. */
export class Calls {
  readonly #graceMs: number
  /** Ids are the peer's: one may come twice. */
  readonly #byId = new Map<MessageId, Call[]>()
  #size = 0

  /** @param graceMs how long the state of one is good for that nobody waits for, and whose handler may still run */
  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  /** @throws {KestError} `ERR_KEST_LIMIT` */
  begin(id: MessageId, { isOpen = false } = {}): Call {
    if (this.#size >= MAX_CALLS)
      throw new KestError('ERR_KEST_LIMIT', `${MAX_CALLS} requests of one connection are under way (K-LIMIT)`)
    const call = new Call(isOpen)
    const same = this.#byId.get(id)
    if (same === undefined) this.#byId.set(id, [call])
    else same.push(call)
    this.#size++
    return call
  }

  /** The SDK answers within the operation that it was given the request in, and what is open in that of nobody here. */
  answered(id: MessageId, outcome: Outcome): void {
    const call = this.#answeredBy(id)
    if (call !== undefined) this.end(id, call, outcome)
  }

  /** Before it is answered: as {@link answered} tells whose answer it is. */
  receiptOf(id: MessageId): string | null {
    return this.#answeredBy(id)?.receipt ?? null
  }

  #answeredBy(id: MessageId): Call | undefined {
    const same = this.#byId.get(id) ?? []
    const state = currentState()
    return (
      same.find((one) => one.isRunIn(state)) ??
      same.find(({ isOpen }) => isOpen) ??
      (same.length === 1 ? same[0] : undefined)
    )
  }

  /** No answer follows. */
  cancelled(id: unknown): void {
    for (const call of this.#byId.get(id as MessageId) ?? []) {
      call.abort()
      this.end(id as MessageId, call, 'aborted', this.#graceMs)
    }
  }

  closed(): void {
    for (const id of [...this.#byId.keys()]) this.cancelled(id)
  }

  end(id: MessageId, call: Call, outcome: Outcome, graceMs = 0): void {
    call.end(outcome, graceMs)
    const same = this.#byId.get(id)
    if (same?.includes(call) !== true) return
    this.#size--
    if (same.length === 1) this.#byId.delete(id)
    else
      this.#byId.set(
        id,
        same.filter((one) => one !== call),
      )
  }
}
