import { randomUUID } from 'node:crypto'
import { deliver } from '../shared/deliver.js'
import { type ConsumerOptions, toConsumer, type WrappedConsumer } from '../shared/options.js'
import { Redelivery, type RedeliveryOptions } from '../shared/redelivery.js'
import type { Turn } from '../shared/turns.js'
import { inboundOf, isOfStream, SCHEME, takeLineageOut } from './message.js'
import type { JetStreamMessage, NatsMessage } from './types.js'

export interface NatsConsumerOptions<M extends NatsMessage = NatsMessage>
  extends ConsumerOptions<M>,
    RedeliveryOptions {}

/** Handles messages of NATS one by one, as its options say. */
export class NatsHandler<M extends NatsMessage> {
  readonly #wrapped: WrappedConsumer<M>
  readonly #redelivery: Redelivery
  readonly #handler: (message: M) => unknown

  /** @throws {KestConfigError} for options that are unknown, wrong or missing */
  constructor(where: string, options: NatsConsumerOptions<M>, handler: (message: M) => unknown) {
    const { redeliverAfterMs, logger, ...rest } = options ?? {}
    this.#wrapped = toConsumer(where, SCHEME, rest as ConsumerOptions<M>)
    this.#redelivery = new Redelivery(where, { redeliverAfterMs, logger })
    this.#handler = handler
  }

  /**
   * When this resolves, it was handled, or is with the dead letters, or will be delivered again.
   *
   * @param turn when its handler may begin
   * @throws what the handler throws
   */
  async handle(message: M, turn: Turn): Promise<void> {
    const arrival = randomUUID()
    try {
      while (!(await this.#try(message, arrival, turn))) {
        // NATS itself delivers once. Those behind it wait: it is asked for one at a time.
        await Promise.all([turn.came, this.#redelivery.pause()])
      }
    } finally {
      turn.pass()
    }
  }

  /** @returns whether nothing more is to be done about it here */
  async #try(message: M, arrival: string, turn: Turn): Promise<boolean> {
    const inbound = inboundOf(message, arrival, this.#wrapped)
    let begun = false
    try {
      const outcome = await deliver(this.#wrapped, inbound, message, async () => {
        await turn.came
        turn.pass()
        begun = true
        takeLineageOut(message, this.#wrapped)
        return this.#handler(message)
      })
      if (!outcome.handled && isOfStream(message)) message.term(outcome.error.code)
      return true
    } catch (error) {
      if (begun) throw error
      this.#redelivery.tell(inbound.from, error)
      if (!isOfStream(message)) return false
      this.#giveBack(message)
      return true
    }
  }

  #giveBack(message: JetStreamMessage): void {
    try {
      message.nak(this.#redelivery.pauseMs)
    } catch {
      // On a connection that is closed nothing is said, and the stream delivers it again when `ack_wait` is over.
    }
  }
}
