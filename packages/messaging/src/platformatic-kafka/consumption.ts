import { setTimeout as sleep } from 'node:timers/promises'
import { type Delivery, type InboundMessage, KestError } from '@kest/core'
import { admit } from '../shared/deliver.js'
import { placeOf } from '../shared/kafka.js'
import type { WrappedConsumer } from '../shared/options.js'
import { bodyOf, readableHeaders, withoutLineage } from './headers.js'
import type { KafkaConsumer, KafkaMessage, KafkaStream } from './types.js'

interface Handling {
  readonly wrapped: WrappedConsumer<KafkaMessage>
  readonly concurrency: number
  readonly retryDelayMs: number
  readonly maxRetryDelayMs: number
}

/** Messages that are being handled, until that is closed or has failed. */
export class Consumption {
  /** Fulfilled when it was closed; rejected with what has ended it. */
  readonly done: Promise<void>
  readonly #consumer: KafkaConsumer
  readonly #stream: KafkaStream
  readonly #handling: Handling
  readonly #handler: (message: KafkaMessage) => unknown
  /** The last message of each partition, settled when it is committed. */
  readonly #partitions = new Map<string, Promise<void>>()
  readonly #pending = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #failure: { readonly error: unknown } | undefined

  /** Made by `consumeMessages`. */
  constructor(
    consumer: KafkaConsumer,
    stream: KafkaStream,
    handling: Handling,
    handler: (message: KafkaMessage) => unknown,
  ) {
    this.#consumer = consumer
    this.#stream = stream
    this.#handling = handling
    this.#handler = handler
    this.done = this.#read()
    // Whoever looks at it later finds what it was.
    this.done.catch(() => undefined)
  }

  /** Reads no more; settles when what is being handled is done and committed. Idempotent. It does not close the consumer. */
  async close(): Promise<void> {
    await this.#stop()
    await this.done.catch(() => undefined)
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.#stream) {
        if (this.#closing.signal.aborted) break
        await this.#enqueue(message)
      }
    } catch (error) {
      // A stream that is closed while it is read may end so.
      if (!this.#closing.signal.aborted) this.#failure ??= { error }
    }
    await this.#stop()
    await Promise.all(this.#pending)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Settles when there is room for the next. */
  async #enqueue(message: KafkaMessage): Promise<void> {
    const key = `${message.topic} ${message.partition}`
    const before = this.#partitions.get(key) ?? Promise.resolve()
    const handled = before
      .then(() => this.#handle(message))
      .catch((error: unknown) => {
        this.#failure ??= { error }
        return this.#stop()
      })
      .finally(() => {
        this.#pending.delete(handled)
        if (this.#partitions.get(key) === handled) this.#partitions.delete(key)
      })
    this.#partitions.set(key, handled)
    this.#pending.add(handled)
    if (this.#pending.size >= this.#handling.concurrency) await Promise.race(this.#pending)
  }

  async #handle(message: KafkaMessage): Promise<void> {
    if (this.#closing.signal.aborted || !this.#isAssigned(message)) return
    const admitted = await this.#admitted(message)
    if (admitted === null) return
    if (!(admitted instanceof KestError)) {
      await admitted.run(() => this.#handler(withoutLineage(message, this.#handling.wrapped)))
    }
    // Whoever has it by now commits for himself.
    if (this.#isAssigned(message)) await message.commit()
  }

  /** `null`: it is closed before anything could be said about it. */
  async #admitted(message: KafkaMessage): Promise<Delivery | KestError | null> {
    const { wrapped, retryDelayMs, maxRetryDelayMs } = this.#handling
    const { signal } = this.#closing
    for (let delay = retryDelayMs; ; delay = Math.min(2 * delay, maxRetryDelayMs)) {
      try {
        return await admit(wrapped, inboundOf(message, wrapped), message)
      } catch (error) {
        if (!(error instanceof KestError && error.statusCode === 503)) throw error
        await sleep(delay, undefined, { signal }).catch(() => undefined)
        if (signal.aborted || !this.#isAssigned(message)) return null
      }
    }
  }

  #isAssigned({ topic, partition }: KafkaMessage): boolean {
    const { assignments } = this.#consumer
    // Without a group there is nobody to lose it to.
    if (assignments === undefined || assignments === null) return true
    return assignments.some((one) => one.topic === topic && one.partitions.includes(partition))
  }

  async #stop(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    await this.#stream.close()
  }
}

/** As Kest sees it. */
function inboundOf(message: KafkaMessage, { uriOf }: WrappedConsumer<KafkaMessage>): InboundMessage {
  return {
    headers: readableHeaders(message),
    body: bodyOf('consumeMessages', message.value),
    from: uriOf(message.topic),
    delivery: placeOf(message),
  }
}
