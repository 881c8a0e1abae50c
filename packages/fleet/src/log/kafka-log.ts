import { KestConfigError } from '@kest/core'
import { Consumer, Producer } from '@platformatic/kafka'
import { attempt } from './kafka-attempt.js'
import { clientOptions, type KafkaOptions } from './kafka-options.js'
import { closed, messageOf, SERIALIZERS, topicsOf } from './kafka-records.js'
import { retentionOf } from './kafka-retention.js'
import { sliceOf } from './kafka-slice.js'
import { KafkaWriter } from './kafka-writer.js'
import { Gone, type Log, type LogSlice, type LogWriter, type NewRecord, Unavailable } from './log.js'

/** Bytes of records that are read at once: at least one record, however large. */
const READ_BYTES = 1_048_576
/** How long a broker waits for something to read. Short: requests on one connection wait for each other. */
const READ_WAIT_MS = 1
const READ_COMMITTED = 1
/**
 * The same number to a broker, and not to the client: of what was aborted the client passes on what its marker is not read with, and it
 * throws at a marker of nothing. What was aborted is left out here.
 */
const READ_COMMITTED_RAW = Object(READ_COMMITTED) as typeof READ_COMMITTED
const RETRYING = { retries: 3, retryDelay: 100 }
/** Timestamps that stand for the ends of a log. */
const EARLIEST = -2n
const LATEST = -1n

type Client = Consumer<Buffer, Buffer, Buffer, Buffer>

/** Kafka as the fleet needs it. */
export class KafkaLog implements Log {
  readonly #options: ReturnType<typeof clientOptions>
  #reader: Client
  #producer: Producer<string, Buffer, string, string>
  readonly #writers = new Set<KafkaWriter>()

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: KafkaOptions) {
    this.#options = clientOptions(options)
    this.#reader = this.#createReader()
    this.#producer = this.#createProducer()
  }

  get clientOptions(): ReturnType<typeof clientOptions> {
    return this.#options
  }

  async partitions(topic: string): Promise<number> {
    const doing = `topic ${topic}`
    return await this.#reading(doing, async (reader) => (await this.#topic(reader, topic)).partitionsCount)
  }

  async bounds(topic: string, partition: number): Promise<{ start: number; end: number }> {
    const [start, end] = [
      await this.#offset(topic, partition, EARLIEST),
      await this.#offset(topic, partition, LATEST),
    ]
    return { start, end }
  }

  async offsetAt(topic: string, partition: number, timeMs: number): Promise<number> {
    const at = await this.#offset(topic, partition, BigInt(Math.max(0, Math.floor(timeMs))))
    return at === -1 ? await this.#offset(topic, partition, LATEST) : at
  }

  async retentionMs(topic: string): Promise<number | null> {
    return await retentionOf(this.#options, topic)
  }

  async read(topic: string, partition: number, from: number, maxBytes = READ_BYTES): Promise<LogSlice> {
    return await this.#reading(`topic ${topic}, partition ${partition}`, async (reader) => {
      const { id, partitions } = await this.#topic(reader, topic)
      const known = partitions[partition]
      if (known === undefined)
        throw new KestConfigError(`kafka: topic ${topic} has no partition ${partition}`)
      const { responses } = await reader.fetch({
        node: known.leader,
        maxWaitTime: READ_WAIT_MS,
        minBytes: 1,
        maxBytes,
        isolationLevel: READ_COMMITTED_RAW,
        topics: [{ topicId: id, partitions: [fetchOf(partition, from, maxBytes)] }],
      })
      const answer = responses[0]?.partitions[0]
      if (answer === undefined) throw new Unavailable(`kafka: topic ${topic}: a broker answered nothing`)
      if (from < Number(answer.logStartOffset)) throw new Gone(`offset ${from} is before the log's first`)
      return sliceOf(answer, from)
    })
  }

  async append(records: readonly NewRecord[]): Promise<void> {
    if (records.length === 0) return
    const producer = this.#producer
    try {
      await attempt(topicsOf(records), () => producer.send({ messages: records.map(messageOf) }))
    } catch (error) {
      if (error instanceof Unavailable && producer === this.#producer) {
        this.#producer = this.#createProducer()
        void closed(producer)
      }
      throw error
    }
  }

  async writer(name: string): Promise<LogWriter> {
    const writer = await KafkaWriter.open(this.#options, name)
    this.#writers.add(writer)
    return writer
  }

  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.close()
    await closed(this.#reader)
    await closed(this.#producer)
  }

  #createReader(): Client {
    // It never joins a group: brokers ask for a name all the same.
    const reader: Client = new Consumer({
      ...this.#options,
      ...RETRYING,
      groupId: 'kest-audit-reader',
      isolationLevel: READ_COMMITTED,
    })
    // What goes wrong is told to whoever asked; an event that nobody listens to would end the process.
    reader.on('error', () => {})
    return reader
  }

  #createProducer(): Producer<string, Buffer, string, string> {
    // What is written twice is known by its source. Numbers of an idempotent producer break where several write at once.
    const producer = new Producer({ ...this.#options, ...RETRYING, serializers: SERIALIZERS, acks: -1 })
    producer.on('error', () => {})
    return producer
  }

  /** What a client knows of brokers that have restarted may be wrong for good: then there is a new one. */
  async #reading<T>(doing: string, work: (reader: Client) => Promise<T>): Promise<T> {
    const reader = this.#reader
    try {
      return await attempt(doing, () => work(reader))
    } catch (error) {
      if (error instanceof Unavailable && reader === this.#reader) {
        this.#reader = this.#createReader()
        void closed(reader)
      }
      throw error
    }
  }

  async #topic(reader: Client, topic: string) {
    reader.topics.track(topic)
    const { topics } = await reader.metadata({ topics: [topic] })
    const found = topics.get(topic)
    if (found === undefined) throw new KestConfigError(`kafka: there is no topic ${topic}`)
    return found
  }

  async #offset(topic: string, partition: number, timestamp: bigint): Promise<number> {
    return await this.#reading(`topic ${topic}, partition ${partition}`, async (reader) => {
      await this.#topic(reader, topic)
      const offsets = await reader.listOffsets({
        topics: [topic],
        partitions: { [topic]: [partition] },
        timestamp,
        isolationLevel: READ_COMMITTED,
      })
      return Number(offsets.get(topic)?.[partition] ?? -1n)
    })
  }
}

function fetchOf(partition: number, from: number, partitionMaxBytes: number) {
  return {
    partition,
    fetchOffset: BigInt(from),
    partitionMaxBytes,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
  }
}
