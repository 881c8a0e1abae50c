import { setTimeout as wait } from 'node:timers/promises'
import { assertOptions, KestConfigError } from '@kest/core'
import { type FleetTopics, topicsOf } from '../topics.js'
import { logError } from './kafka-errors.js'
import { KafkaLog } from './kafka-log.js'
import { clientOptions, type KafkaOptions } from './kafka-options.js'
import { withAdmin } from './with-admin.js'

/** What a span with the largest entry and passport takes, and what a verdict does. */
const MAX_MESSAGE_BYTES = 8_388_608

/** How often, and after how long, it is looked whether a topic is there. */
const SEEN_TRIES = 100
const SEEN_MS = 100

export interface CreateTopicsOptions {
  readonly kafka: KafkaOptions
  /** Begins their names. Default `kest`. */
  readonly prefix?: string
  /** Of each; one is judged by one process. Default 8. */
  readonly partitions?: number
  /** Of each. Default 1: a cluster has at least three. */
  readonly replicas?: number
  /** How long spans are kept between the stages, milliseconds: as long as late spans of theirs are judged with them. Default 604,800,000. */
  readonly retentionMs?: number
  /**
   * How long verdicts are kept in `<prefix>-verdicts` after they were last written, milliseconds; no less than `retentionMs`. A trace of which
   * more comes later is judged anew. What is `broken`, `incomplete`, or has a finding of severity `error`, is written once more before it is over,
   * by whoever judges its partition, unless nobody does for half of it. In `<prefix>-verdict-log` all stay. Default: twice `retentionMs`.
   */
  readonly verdictRetentionMs?: number
}

/**
 * Makes the topics that a fleet writes, those that are not there yet: with times of the brokers, and room for the largest span. The topic of
 * exports is the Collector's.
 *
 * @throws {KestConfigError} for options that are unknown or wrong, and what the brokers do not allow
 * @throws {Error} `Unavailable` when no broker can be reached
 */
export async function createTopics(options: CreateTopicsOptions): Promise<void> {
  assertOptions('createTopics', options, [
    'kafka',
    'prefix',
    'partitions',
    'replicas',
    'retentionMs',
    'verdictRetentionMs',
  ])
  const { kafka, prefix = 'kest', partitions = 8, replicas = 1, retentionMs = 604_800_000 } = options
  const { verdictRetentionMs = 2 * retentionMs } = options
  for (const [name, value] of Object.entries({ partitions, replicas, retentionMs, verdictRetentionMs })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new KestConfigError(`createTopics: ${name}: expected a positive integer, got ${String(value)}`)
  }
  if (verdictRetentionMs < retentionMs)
    throw new KestConfigError(
      `createTopics: verdictRetentionMs: expected ${retentionMs} at least, as long as spans are kept, got ${verdictRetentionMs}`,
    )
  const { spans: _theirs, ...made } = topicsOf('', prefix)
  await withAdmin(clientOptions(kafka), async (admin) => {
    for (const [topic, configs] of configsOf(made, retentionMs, verdictRetentionMs)) {
      try {
        await admin.createTopics({ topics: [topic], partitions, replicas, configs })
      } catch (cause) {
        if (!isThere(cause)) throw logError(cause, `making topic ${topic}`)
      }
    }
    await seen(kafka, Object.values(made))
  })
}

/** A broker answers before all know of a topic. */
async function seen(kafka: KafkaOptions, topics: readonly string[]): Promise<void> {
  const log = new KafkaLog(kafka)
  try {
    for (const topic of topics)
      for (let tries = 1; ; tries++) {
        try {
          await log.partitions(topic)
          break
        } catch (error) {
          if (tries === SEEN_TRIES) throw error
          await wait(SEEN_MS)
        }
      }
  } finally {
    await log.close()
  }
}

function configsOf(
  { entries, verdicts, log, facts, state, findings }: Omit<FleetTopics, 'spans'>,
  retentionMs: number,
  verdictRetentionMs: number,
) {
  const config = (settings: Readonly<Record<string, string>>) =>
    Object.entries({ 'max.message.bytes': `${MAX_MESSAGE_BYTES}`, ...settings }).map(([name, value]) => ({
      name,
      value,
    }))
  const stamped = { 'message.timestamp.type': 'LogAppendTime' }
  return [
    [entries, config({ ...stamped, 'retention.ms': `${retentionMs}` })],
    [
      verdicts,
      config({ ...stamped, 'cleanup.policy': 'compact,delete', 'retention.ms': `${verdictRetentionMs}` }),
    ],
    [log, config({ ...stamped, 'retention.ms': '-1' })],
    [facts, config({ ...stamped, 'retention.ms': `${retentionMs}` })],
    [state, config({ ...stamped, 'cleanup.policy': 'compact' })],
    [findings, config({ ...stamped, 'retention.ms': '-1' })],
  ] as const
}

function isThere(error: unknown): boolean {
  const { apiId, errors } = error as { apiId?: unknown; errors?: unknown }
  return apiId === 'TOPIC_ALREADY_EXISTS' || (Array.isArray(errors) && errors.some(isThere))
}
