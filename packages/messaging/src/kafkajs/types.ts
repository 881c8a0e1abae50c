/** As far as they are needed, and as every version of kafkajs 2 has them: nothing of it is imported. */

export type KafkajsHeader = Buffer | string | (Buffer | string)[] | undefined
export type KafkajsHeaders = { [key: string]: KafkajsHeader }

export interface KafkajsMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly offset: string
  readonly headers?: KafkajsHeaders
}

export interface EachMessagePayload {
  readonly topic: string
  readonly partition: number
  readonly message: KafkajsMessage
}

export interface KafkajsBatch {
  readonly topic: string
  readonly partition: number
  readonly messages: KafkajsMessage[]
}

export interface EachBatchPayload {
  readonly batch: KafkajsBatch
  resolveOffset(offset: string): void
}

export interface RunConfig {
  readonly eachBatchAutoResolve?: boolean
  readonly eachMessage?: (payload: never) => Promise<void>
  readonly eachBatch?: (payload: never) => Promise<void>
}

export interface KafkajsConsumer {
  run(config?: RunConfig): Promise<void>
}

export interface OutgoingMessage {
  readonly value: Buffer | string | null
  readonly headers?: KafkajsHeaders
}

export interface KafkajsSender {
  send(record: never): Promise<unknown>
  sendBatch(batch: never): Promise<unknown>
}

export interface KafkajsProducer extends KafkajsSender {
  transaction(): Promise<KafkajsSender>
}
