import { context } from '@opentelemetry/api'
import { Frame } from '../context/frame.js'
import { Lifetime } from '../context/lifetime.js'
import type { KestState } from '../context/state.js'
import { begin } from '../hook/begin.js'
import type { Operation } from '../hook/operation.js'
import type { HookRuntime } from '../hook/runtime.js'
import { withoutKestBaggage } from '../propagation/propagator.js'
import type { Delivery } from './delivery.js'
import type { Disposition } from './disposition.js'
import type { InboundMessage } from './message.js'
import type { MessageOperations } from './message-operations.js'
import { inContextOfMessage } from './otel-context.js'
import type { JoinedDeliveries } from './split-batch.js'

/** A message of a batch that is not handled. */
export interface RefusedMessage {
  readonly message: InboundMessage
  /** What `receive` would have thrown. Of those behind one that is to be delivered again, which were not judged: its error. */
  readonly error: unknown
  readonly disposition: Disposition
}

/** What one operation of a batch works with. */
export interface BatchDeps {
  readonly runtime: HookRuntime
  readonly operations: MessageOperations
}

/** Messages that are handled at once, by one operation over them (K-MESSAGE). */
export class BatchPart {
  readonly deliveries: readonly Delivery[]
  readonly #deps: BatchDeps
  readonly #lineage: JoinedDeliveries['lineage']
  #begun: Promise<Operation> | undefined

  /** Made by `Messages.receiveBatch`. */
  constructor({ deliveries, lineage }: JoinedDeliveries, deps: BatchDeps) {
    this.deliveries = deliveries
    this.#lineage = lineage
    this.#deps = deps
  }

  /**
   * Decides and signs: an entry whose parents are the entries of all deliveries, with the union of their taints and the least of
   * their trust. It states nobody: who acts is what they agree on. {@link run} does it by itself.
   *
   * @throws {KestError} as `kest.begin`; `dispositionOf` says what becomes of the messages
   */
  async begin(): Promise<void> {
    await this.#operation()
  }

  /**
   * Handles the messages: as {@link Delivery.run}, once.
   * @throws {KestError} as {@link begin}; {@link TypeError} when it has been run before; whatever `fn` throws, unchanged
   */
  async run<T>(fn: (deliveries: readonly Delivery[]) => T): Promise<Awaited<T>> {
    const operation = await this.#operation()
    return context.with(withoutKestBaggage(context.active()), () => operation.run(() => fn(this.deliveries)))
  }

  #operation(): Promise<Operation> {
    this.#begun ??= this.#begin()
    return this.#begun
  }

  async #begin(): Promise<Operation> {
    const { runtime, operations } = this.#deps
    const messages = this.deliveries.map(({ message }) => message)
    const definition = operations.ofBatch((messages[0] as InboundMessage).from)
    const bounds = this.deliveries.map(({ state }) => state.lifetime.bound)
    const state: KestState = {
      frame: new Frame(this.#lineage),
      origin: null,
      identity: null,
      jwt: null,
      signal: null,
      lifetime: new Lifetime(runtime.clock, Math.min(...bounds)),
    }
    return inContextOfMessage(() => begin(runtime, definition, { state, args: [messages] }))
  }
}

/** Messages that were read at once, each judged by itself. */
export class ReceivedBatch {
  /** Those that were let in, in their order. Each may be handled by itself, or all in {@link parts}. */
  readonly deliveries: readonly Delivery[]
  /** The others, in their order. */
  readonly refused: readonly RefusedMessage[]
  /** Those that were let in, in as few operations as K-LIMIT allows. */
  readonly parts: readonly BatchPart[]

  /** Made by `Messages.receiveBatch`. */
  constructor(
    deliveries: readonly Delivery[],
    refused: readonly RefusedMessage[],
    parts: readonly JoinedDeliveries[],
    deps: BatchDeps,
  ) {
    this.deliveries = Object.freeze([...deliveries])
    this.refused = Object.freeze([...refused])
    this.parts = Object.freeze(parts.map((part) => new BatchPart(part, deps)))
  }

  /**
   * Runs `fn` in one operation over all messages that were let in, or, beyond K-LIMIT, in several, one after the other; then
   * {@link end}s.
   *
   * @returns what `fn` answered, part by part
   * @throws as {@link BatchPart.run}, by the first part that does; those behind it are not run
   */
  async run<T>(fn: (deliveries: readonly Delivery[]) => T): Promise<Awaited<T>[]> {
    const answers: Awaited<T>[] = []
    try {
      for (const part of this.parts) answers.push(await part.run(fn))
    } finally {
      this.end()
    }
    return answers
  }

  /** Ends the states of all deliveries. Idempotent. */
  end(): void {
    for (const delivery of this.deliveries) delivery.end()
  }
}
