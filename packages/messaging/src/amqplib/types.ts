/** As far as they are needed, and as every version of amqplib has them: nothing of it is imported. */

export interface AmqpMessage {
  readonly content: Buffer
  readonly fields: { readonly redelivered: boolean }
  readonly properties: { readonly headers?: Record<string, unknown> | undefined }
}

export interface PublishOptions {
  readonly headers?: unknown
  readonly CC?: unknown
  readonly BCC?: unknown
}

export interface ConsumeOptions {
  readonly noAck?: boolean | undefined
}

export interface AmqpPublisher {
  publish(exchange: string, routingKey: string, content: Buffer, options?: never): boolean
  sendToQueue(queue: string, content: Buffer, options?: never): boolean
}

export interface AmqpConsumer {
  consume(queue: string, onMessage: never, options?: never): unknown
  ack(message: never): void
  nack(message: never, allUpTo?: boolean, requeue?: boolean): void
}

/** A channel whose messages are signed before they leave: its methods answer when they have left. */
export type KestPublisher<C extends AmqpPublisher> = Omit<C, 'publish' | 'sendToQueue'> & {
  /**
   * In the order of its calls. Of a channel with confirmations it answers when the broker has taken the message, and rejects when
   * it has not; of others, as amqplib does: whether there is room for more.
   */
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options?: Parameters<C['publish']>[3],
  ): Promise<boolean>
  /** As {@link publish}, to a queue. */
  sendToQueue(queue: string, content: Buffer, options?: Parameters<C['sendToQueue']>[2]): Promise<boolean>
}
