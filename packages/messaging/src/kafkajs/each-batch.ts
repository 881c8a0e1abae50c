import { type BatchPart, type Delivery, dispositionOf, type InboundMessage, type KestError } from '@kest/core'
import type { WrappedConsumer } from '../shared/options.js'
import type { RefusedRecord } from './dead-letter-topic.js'
import { inboundOf, withoutLineage } from './record.js'
import type { EachBatchPayload, KafkajsMessage } from './types.js'

/** What `eachBatch` is given beside what kafkajs gives it: for each of the batch's messages, what it was let in as. */
export interface BatchDeliveries {
  readonly deliveries: readonly Delivery[]
}

type Handler = (payload: EachBatchPayload & BatchDeliveries) => Promise<void>

/**
 * Handles a batch in the order of its partition, as far as something could be said of its messages: dead letters are put away, what
 * was let in is handled. Offsets are resolved no further than that, and kafkajs reads again from there.
 *
 * @param autoResolve whether kafkajs resolves what the handler has not
 */
export async function handleBatch(
  handler: Handler,
  payload: EachBatchPayload,
  wrapped: WrappedConsumer<RefusedRecord>,
  autoResolve: boolean,
): Promise<void> {
  const { topic, partition, messages: records } = payload.batch
  const read = records.map((message) => inboundOf({ topic, partition, message }, wrapped))
  const recordOf = (message: InboundMessage): KafkajsMessage =>
    records[read.indexOf(message)] as KafkajsMessage
  const putAway = (message: InboundMessage, error: KestError) =>
    wrapped.deadLetter({
      message: { topic, partition, message: recordOf(message) },
      from: message.from,
      code: error.code,
      error,
    })

  const batch = await wrapped.messages.receiveBatch(read, { ordered: true })
  const resolved = new ResolvedOffsets(payload)
  async function handle(part: BatchPart): Promise<void> {
    try {
      await part.begin()
    } catch (error) {
      if (dispositionOf(error) !== 'dead-letter') throw error
      for (const { message } of part.deliveries) await putAway(message, error as KestError)
      return
    }
    const handled = part.deliveries.map(({ message }) => recordOf(message))
    const messages = handled.map((message) => withoutLineage(message, wrapped))
    const own = { batch: viewOf(payload.batch, messages), resolveOffset: resolved.resolve }
    await part.run((deliveries) => handler({ ...payload, ...own, deliveries }))
    const last = handled.at(-1)
    if (autoResolve && last !== undefined) resolved.resolve(last.offset)
    if (!resolved.has(last)) resolved.stop()
  }

  try {
    const stopped = batch.refused.find(({ disposition }) => disposition === 'redeliver')
    for (const { message, error, disposition } of batch.refused)
      if (disposition === 'dead-letter') await putAway(message, error as KestError)
    for (const part of batch.parts) await handle(part)
    // What is behind the last that was handled is with the dead letters.
    const end = stopped === undefined ? records.length : read.indexOf(stopped.message)
    resolved.resolveRest(records[end - 1])
    if (stopped !== undefined) throw stopped.error
  } finally {
    batch.end()
  }
}

/** How far a handler has come: what is behind something that it has left open stays open. */
class ResolvedOffsets {
  readonly #payload: EachBatchPayload
  readonly #offsets = new Set<string>()
  #stopped = false

  constructor(payload: EachBatchPayload) {
    this.#payload = payload
  }

  readonly resolve = (offset: string): void => {
    this.#offsets.add(offset)
    this.#payload.resolveOffset(offset)
  }

  has(record: KafkajsMessage | undefined): boolean {
    return record === undefined || this.#offsets.has(record.offset)
  }

  stop(): void {
    this.#stopped = true
  }

  resolveRest(last: KafkajsMessage | undefined): void {
    if (!this.#stopped && !this.has(last)) this.resolve((last as KafkajsMessage).offset)
  }
}

/** The batch with some of its messages; its methods count these. */
function viewOf(
  batch: EachBatchPayload['batch'],
  messages: readonly KafkajsMessage[],
): EachBatchPayload['batch'] {
  return Object.create(batch, { messages: { value: messages, enumerable: true } })
}
