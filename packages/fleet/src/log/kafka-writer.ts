import { Producer } from '@platformatic/kafka'
import { asClients } from './client-versions.js'
import { attempt } from './kafka-attempt.js'
import type { clientOptions } from './kafka-options.js'
import { closed, messageOf, SERIALIZERS, topicsOf } from './kafka-records.js'
import type { LogWriter, NewRecord } from './log.js'
import { piecesOf } from './pieces.js'

/** A transaction is soon over; until then, its coordinator is asked again so often. */
const RETRY_MS = 20
const RETRIES = 50
/** Of a transaction, and of each request. */
const TIMEOUT_MS = 60_000

/** What is sent at once: less than a topic takes together (8 MiB), unless one record is more. */
const MAX_RECORDS = 10_000
const MAX_BYTES = 4_194_304

/** Whoever wrote before, as which producer: the client's default is the one with number 0. */
const ANYBODY = { producerId: -1n, producerEpoch: -1 }

type Transaction = Awaited<ReturnType<Producer<string, Buffer, string, string>['beginTransaction']>>

/** Writes in transactions: whoever takes its name fences it. */
export class KafkaWriter implements LogWriter {
  readonly #producer: Producer<string, Buffer, string, string>
  #transaction: Transaction | null = null

  private constructor(options: ReturnType<typeof clientOptions>, name: string) {
    this.#producer = new Producer({
      ...options,
      retries: RETRIES,
      retryDelay: RETRY_MS,
      idempotent: true,
      timeout: TIMEOUT_MS,
      transactionalId: name,
      serializers: SERIALIZERS,
      acks: -1,
    })
    this.#producer.on('error', () => {})
  }

  /** From then on, nobody who was opened before with this name writes, and nothing of his is half written. */
  static async open(options: ReturnType<typeof clientOptions>, name: string): Promise<KafkaWriter> {
    const writer = new KafkaWriter(options, name)
    try {
      writer.#transaction = await attempt(`writing as ${name}`, async () => {
        await asClients(writer.#producer)
        return await writer.#producer.beginTransaction(ANYBODY)
      })
      return writer
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  async append(records: readonly NewRecord[]): Promise<readonly number[]> {
    if (records.length === 0) return []
    return await attempt(topicsOf(records), async () => {
      const transaction = this.#transaction ?? (await this.#producer.beginTransaction())
      this.#transaction = null
      const offsets: number[] = []
      // One after the other: several at once break the numbers of an idempotent producer.
      for (const piece of piecesOf(records, MAX_RECORDS, MAX_BYTES)) {
        const { offsets: first = [] } = await transaction.send({ messages: piece.map(messageOf) })
        offsets.push(...offsetsOf(piece, first))
      }
      await transaction.commit()
      return offsets
    })
  }

  async close(): Promise<void> {
    await closed(this.#producer)
  }
}

/** Of what is written at once to a partition, the first one's is told; of a partition that the broker chose, nothing is. */
function offsetsOf(
  records: readonly NewRecord[],
  first: readonly { readonly topic: string; readonly partition: number; readonly offset: bigint }[],
): number[] {
  const next = new Map(first.map(({ topic, partition, offset }) => [`${topic}/${partition}`, Number(offset)]))
  return records.map(({ topic, partition }) => {
    const offset = next.get(`${topic}/${partition}`) ?? -1
    next.set(`${topic}/${partition}`, offset + 1)
    return offset
  })
}
