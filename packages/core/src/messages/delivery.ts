import { context } from '@opentelemetry/api'
import type { KestState } from '../context/state.js'
import type { Operation } from '../hook/operation.js'
import type { VerifiedEntry } from '../passport/verified.js'
import { withoutKestBaggage } from '../propagation/propagator.js'
import type { InboundMessage } from './message.js'

/** A message that was let in: its operation was authorized, and its entry is signed. What remains is to handle it, once. */
export class Delivery {
  readonly message: InboundMessage
  readonly #operation: Operation
  readonly #received: KestState

  /** Made by `Messages.receive`. */
  constructor(message: InboundMessage, operation: Operation, received: KestState) {
    this.message = message
    this.#operation = operation
    this.#received = received
  }

  /** The record that was signed; its parents are the sender's. */
  get entry(): VerifiedEntry {
    return this.#operation.entry
  }

  /** The state to handle it in. */
  get state(): KestState {
    return this.#operation.state
  }

  /** What the message is named by its token, with `binding: 'message'`. */
  get messageId(): string | null {
    return this.#received.message?.id ?? null
  }

  /**
   * Handles the message: runs `fn` in a frame of its own, whatever is ambient where this is called, and without `kest.*` in
   * OpenTelemetry's Baggage. Its state ends when what `fn` answers has settled; what goes on after that takes one of its own
   * before (`kest.keep()`).
   *
   * @throws {TypeError} when it has been run before; whatever `fn` throws, unchanged
   */
  async run<T>(fn: () => T): Promise<Awaited<T>> {
    try {
      return await context.with(withoutKestBaggage(context.active()), () => this.#operation.run(fn))
    } finally {
      this.end()
    }
  }

  /** For one that is not run: its state ends. Idempotent; {@link run} does it by itself. */
  end(): void {
    this.#operation.settle()
    this.#received.lifetime.end()
  }
}
