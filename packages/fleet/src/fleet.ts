import { finding, TraceJudge } from '@kest/audit'
import { KestConfigError } from '@kest/core'
import type { MeterProvider } from '@opentelemetry/api'
import {
  type FleetOptions,
  type FleetStage,
  type ResolvedFleetOptions,
  resolveFleetOptions,
} from './fleet-options.js'
import { EntryIndex } from './judge/entry-index.js'
import { JudgeWorker, type JudgeWorkerOptions } from './judge/judge-worker.js'
import { JudgedPartition } from './judge/judged-partition.js'
import { KafkaLog } from './log/kafka-log.js'
import { KafkaMember } from './log/kafka-member.js'
import type { Member } from './log/log.js'
import { FleetMetrics } from './metrics.js'
import { RosterWorker } from './roster/roster-worker.js'
import { SequenceWorker } from './sequences/sequence-worker.js'
import { SplitWorker } from './split/split-worker.js'
import { type FleetFinding, findingRecord, fleetFinding } from './stage/finding-record.js'
import { type Progress, Stage } from './stage/stage.js'
import type { FleetTopics } from './topics.js'

/** Traces of a partition that name what is nowhere yet, and are judged once more. */
const MAX_WAITING = 65_536

/** What each stage reads: the first as a group, the others to begin. */
const READ_BY: Readonly<Record<FleetStage, readonly [keyof FleetTopics, ...(keyof FleetTopics)[]]>> = {
  split: ['spans'],
  judge: ['entries', 'verdicts'],
  sequences: ['facts', 'state'],
  roster: ['facts', 'state'],
}

/** What has happened since the start. */
export interface FleetCounts {
  /** Spans of Kest that were read. */
  readonly spans: number
  /** Spans of others, passed over. */
  readonly otherSpans: number
  /** Verdicts that were written; one trace may have several. */
  readonly verdicts: number
}

/**
 * The audit of Kest on Kafka (K-FLEET): a process among as many as it takes, which share the partitions of topics as consumer groups. It
 * reads what the Collector's `kafka` exporter writes, and judges each trace when nothing came for it for `settleMs`, at the latest
 * `maxAgeMs` after its first span, and again, with all of its spans, when more comes. The verdicts are those of `Audit`.
 *
 * Every verdict is written, also when a process or a broker dies: what was not done for good is done again. It keeps no files.
 *
 * What is found over all traces, such as gaps in the numbers of a process, is a finding of its own, and withdrawn when what was missing comes.
 *
 * @example
 * ```ts
 * await using fleet = await Fleet.start({ kafka: { brokers: ['kafka:9092'] }, judge: { trust } })
 * process.once('SIGTERM', () => fleet.close())
 * await fleet.done
 * ```
 */
export class Fleet implements AsyncDisposable {
  readonly #log: KafkaLog
  readonly #stages = new Map<FleetStage, Stage>()
  readonly #metrics: FleetMetrics
  /** What is known of the verdicts of partitions that are judged here: it outlives a worker that fails. */
  readonly #judged = new Map<number, JudgedPartition>()
  readonly #counts = { spans: 0, otherSpans: 0, verdicts: 0 }
  #closing: Promise<void> | null = null
  #end: () => void = () => {}
  #fail: (error: Error) => void = () => {}
  /** Resolves when it was closed. Rejects with a KestError when it cannot go on, such as for what an access list no longer allows. */
  readonly done: Promise<void>

  private constructor(log: KafkaLog, meterProvider: MeterProvider | undefined) {
    this.#log = log
    this.#metrics = new FleetMetrics(meterProvider, () => this.#progress())
    this.done = new Promise((resolve, reject) => {
      this.#end = resolve
      this.#fail = reject
    })
    // Whoever does not wait for it is told by `close()` at least that it has ended.
    this.done.catch(() => {})
  }

  /**
   * Joins the groups, once it has seen that all topics are there.
   *
   * @throws {KestConfigError} for options that are unknown or wrong, topics that are missing or have other numbers of partitions, and what
   *   the brokers do not allow
   * @throws {Error} `Unavailable` when no broker can be reached
   */
  static async start(options: FleetOptions): Promise<Fleet> {
    const asked = resolveFleetOptions(options)
    const judge = new TraceJudge(options.judge)
    const fleet = new Fleet(new KafkaLog(options.kafka), options.meterProvider)
    const onFinding = (one: FleetFinding): void => {
      fleet.#metrics.found(one)
      asked.onFinding(one)
    }
    const resolved = { ...asked, onFinding }
    try {
      await fleet.#assertTopics(resolved)
      for (const name of resolved.stages) fleet.#stages.set(name, fleet.#stage(name, resolved, judge))
      // The last first: where a group may not be joined, nothing was done for it.
      for (const stage of [...fleet.#stages.values()].reverse()) await stage.start()
    } catch (error) {
      await fleet.close()
      throw error
    }
    for (const { failure } of fleet.#stages.values()) failure.catch(fleet.#fail)
    return fleet
  }

  get counts(): FleetCounts {
    return { ...this.#counts }
  }

  /** Stops where it is; what is open is judged by whoever goes on. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  *#progress(): Generator<readonly [FleetStage, number, Progress]> {
    for (const [name, { progress }] of this.#stages)
      for (const [partition, one] of progress) yield [name, partition, one]
  }

  async #close(): Promise<void> {
    this.#metrics.close()
    await Promise.all([...this.#stages.values()].map((stage) => stage.close()))
    await this.#log.close()
    this.#end()
  }

  async #assertTopics({ topics, stages }: ResolvedFleetOptions): Promise<void> {
    const log = this.#log
    // What may not be read is said now, and not when somebody has begun.
    for (const topic of stages.flatMap((stage) => READ_BY[stage]).map((name) => topics[name]))
      await log.read(topic, 0, (await log.bounds(topic, 0)).start, 1)
    if (stages.includes('judge')) await log.retentionMs(topics.verdicts)
    for (const topic of [topics.spans, topics.findings]) await log.partitions(topic)
    const counts = new Map<string, number>()
    for (const topic of [topics.entries, topics.verdicts, topics.log, topics.facts, topics.state])
      counts.set(topic, await log.partitions(topic))
    if (new Set(counts.values()).size > 1) {
      const have = [...counts].map(([topic, count]) => `${topic} ${count}`).join(', ')
      throw new KestConfigError(`fleet: topics are to have as many partitions as each other: ${have}`)
    }
  }

  #stage(name: FleetStage, resolved: ResolvedFleetOptions, judge: TraceJudge): Stage {
    const { topics, group, onRetry } = resolved
    const log = this.#log
    const topic = topics[READ_BY[name][0]]
    const member = new KafkaMember(log.clientOptions, `${group}-${name}`, topic)
    const lost = async (partition: number, from: number, to: number): Promise<void> => {
      const why = `records ${from} to ${to - 1} were gone before they were read`
      const place = `${topic}/${partition}`
      const times = Math.max(1, to - from)
      const one = fleetFinding(finding('limit', why, { place: `${place}:${from}`, times }), place)
      await log.append([findingRecord(topics.findings, one, Date.now())])
      resolved.onFinding(one)
    }
    const open = {
      split: () => this.#split(resolved, member),
      judge: () => this.#judge(resolved, judge),
      sequences: () => this.#sequences(resolved, judge),
      roster: () => this.#roster(resolved),
    }[name]()
    const left = (partition: number): void => {
      if (name === 'judge') this.#judged.delete(partition)
    }
    return new Stage({ log, member, topic, open, left, lost, failed: onRetry })
  }

  #split({ topics, encoding, onFinding }: ResolvedFleetOptions, member: Member) {
    const log = this.#log
    return async (partition: number, from: number): Promise<SplitWorker> => {
      const known = (await member.committed(partition)) !== null
      const seen: ConstructorParameters<typeof SplitWorker>[0]['seen'] = ({ spans, others, findings }) => {
        this.#counts.spans += spans
        this.#counts.otherSpans += others
        for (const one of findings) onFinding(fleetFinding(one, `${topics.spans}/${partition}`))
      }
      return new SplitWorker({ log, topics, encoding, seen, clock: Date.now }, partition, from, known)
    }
  }

  #judge(resolved: ResolvedFleetOptions, judge: TraceJudge) {
    const log = this.#log
    const { topics, settling, maxTraceSpans, lookBackMs, onVerdict, onFinding: found } = resolved
    const judged: JudgeWorkerOptions['judged'] = (verdict, delayMs) => {
      this.#counts.verdicts++
      this.#metrics.judged(verdict, delayMs)
      onVerdict(verdict)
    }
    const times = { clock: Date.now, elapsed: () => performance.now() }
    const entries = new EntryIndex({ log, topic: topics.entries })
    const known = this.#judged
    return (partition: number, from: number, signal: AbortSignal): Promise<JudgeWorker> => {
      const one = known.get(partition) ?? new JudgedPartition(MAX_WAITING)
      known.set(partition, one)
      return JudgeWorker.open(
        { log, topics, judge, entries, settling, maxTraceSpans, lookBackMs, judged, found, ...times },
        partition,
        from,
        one,
        signal,
      )
    }
  }

  #sequences({ topics, settling, lookBackMs, onFinding: found }: ResolvedFleetOptions, judge: TraceJudge) {
    const log = this.#log
    const { maxAgeMs, settleMs } = settling
    const times = { clock: Date.now, elapsed: () => performance.now() }
    const rules = judge.sequenceRules
    // What was numbered before is judged that much later, if its trace went on.
    const waitMs = maxAgeMs + settleMs
    return (partition: number, from: number, signal: AbortSignal): Promise<SequenceWorker> =>
      SequenceWorker.open(
        { log, topics, rules, waitMs, lookBackMs, found, ...times },
        partition,
        from,
        signal,
      )
  }

  #roster({ topics, settling, roster, onFinding: found }: ResolvedFleetOptions) {
    const log = this.#log
    const waitMs = settling.maxAgeMs + settling.settleMs
    return (partition: number, from: number, signal: AbortSignal): Promise<RosterWorker> =>
      RosterWorker.open({ log, topics, roster, waitMs, found, clock: Date.now }, partition, from, signal)
  }
}
