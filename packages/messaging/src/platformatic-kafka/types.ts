/** As far as they are needed, and as versions 1 and 2 of @platformatic/kafka have them: nothing of it is imported. */

export interface KafkaMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly key: unknown
  readonly value: unknown
  readonly headers: ReadonlyMap<unknown, unknown>
  /** Of version 2: with repeated names. */
  readonly headerEntries?: Iterable<readonly [unknown, unknown]>
  commit(): unknown
}

export interface KafkaStream extends AsyncIterable<KafkaMessage> {
  close(): Promise<void>
}

export interface KafkaConsumer {
  /** Since the group was joined. */
  readonly assignments?: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null
  consume(options: never): Promise<KafkaStream>
}

export interface OutgoingMessage {
  readonly topic: string
  readonly value?: unknown
  readonly headers?: ReadonlyMap<unknown, unknown> | Readonly<Record<string, unknown>>
}

export interface SendOptions {
  readonly messages: readonly OutgoingMessage[]
}

export interface KafkaSender {
  send(options: never): Promise<unknown>
}

export interface KafkaProducer extends KafkaSender {
  beginTransaction?(options?: never): Promise<KafkaSender>
  asStream?(options?: never): unknown
}
