import { Consumer } from '@platformatic/kafka'
import { attempt } from './kafka-attempt.js'
import type { clientOptions } from './kafka-options.js'
import { closed } from './kafka-records.js'
import { type Member, Unavailable } from './log.js'

/** How long a member may be silent before others get its partitions. */
const SESSION_MS = 15_000
const HEARTBEAT_MS = 3_000
const REBALANCE_MS = 30_000
const JOIN_MS = 120_000

/** One of a consumer group. */
export class KafkaMember implements Member {
  readonly #topic: string
  readonly #consumer: Consumer<Buffer, Buffer, Buffer, Buffer>
  #last: { readonly memberId: string; readonly generation: number } | null = null

  constructor(options: ReturnType<typeof clientOptions>, group: string, topic: string) {
    this.#topic = topic
    this.#consumer = new Consumer({
      ...options,
      groupId: group,
      retries: true,
      retryDelay: 250,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: REBALANCE_MS,
    })
    this.#consumer.on('error', () => {})
  }

  async join(assigned: (partitions: readonly number[], anew: boolean) => void): Promise<void> {
    const consumer = this.#consumer
    consumer.topics.track(this.#topic)
    consumer.on('consumer:group:join', ({ memberId, generationId = 0, assignments = [] }) => {
      const last = this.#last
      const anew = last === null || last.memberId !== memberId || generationId !== last.generation + 1
      this.#last = { memberId, generation: generationId }
      assigned(assignments.find(({ topic }) => topic === this.#topic)?.partitions ?? [], anew)
    })
    await attempt(`joining the group ${consumer.groupId}`, () => consumer.joinGroup({}), JOIN_MS)
  }

  async committed(partition: number): Promise<number | null> {
    return await attempt(`what the group ${this.#consumer.groupId} has read`, async () => {
      const topics = [{ topic: this.#topic, partitions: [partition] }]
      const offset = (await this.#consumer.listCommittedOffsets({ topics })).get(this.#topic)?.[partition]
      return offset === undefined || offset < 0n ? null : Number(offset)
    })
  }

  async commit(partition: number, offset: number): Promise<void> {
    if (!this.#consumer.isActive())
      throw new Unavailable(`kafka: ${this.#consumer.groupId}: it is in no group now`)
    await attempt(`committing for the group ${this.#consumer.groupId}`, () => {
      const offsets = [{ topic: this.#topic, partition, offset: BigInt(offset), leaderEpoch: -1 }]
      return this.#consumer.commit({ offsets })
    })
  }

  async leave(): Promise<void> {
    await closed(this.#consumer)
  }
}
