/** As far as they are needed, and as `nats` 2 and `@nats-io/*` 3 have them: nothing of it is imported. */

export interface NatsHeaders extends Iterable<[name: string, values: string[]]> {
  get(name: string): string
  set(name: string, value: string): void
  append(name: string, value: string): void
  delete(name: string): void
}

export interface NatsMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly headers?: NatsHeaders | undefined
}

/** One of a JetStream. */
export interface JetStreamMessage extends NatsMessage {
  readonly info: {
    readonly stream: string
    readonly streamSequence: number
    /** In `nats` 2, early versions: under the other name alone. */
    readonly deliveryCount?: number | undefined
    readonly redeliveryCount?: number | undefined
  }
  nak(millis?: number): void
  term(reason?: string): void
}

export interface NatsSender {
  publish(subject: string, payload?: never, options?: never): unknown
  request?(subject: string, payload?: never, options?: never): Promise<unknown>
}

/** What sends, once it is signed: `publish` answers a promise, in the order of the calls. */
export type KestSender<S extends NatsSender> = Omit<S, 'publish'> & {
  publish(
    subject: string,
    payload?: Parameters<S['publish']>[1],
    options?: Parameters<S['publish']>[2],
  ): Promise<Awaited<ReturnType<S['publish']>>>
}
