import { type RosterWorkload, type SeenFact, WatchedWorkload } from '@kest/audit'
import { decodeFacts } from '../facts/fact-record.js'
import { spread } from '../facts/spread.js'
import type { Log, LogSlice, LogWriter } from '../log/log.js'
import { recordsOf } from '../log/slices.js'
import { decodeState, encodeState } from '../sequences/state-record.js'
import { type FleetFinding, findingRecord } from '../stage/finding-record.js'
import type { Worker } from '../stage/stage.js'
import type { FleetTopics } from '../topics.js'

/** How often it is looked who is silent, and what is known is written. */
const LOOK_MS = 1_000
const FLUSH_MS = 10_000
const PREFIX = 'seen '

export interface RosterWorkerOptions {
  readonly log: Log
  readonly topics: FleetTopics
  readonly roster: readonly RosterWorkload[]
  /** How much later than it is dated what somebody signs may be judged, milliseconds. */
  readonly waitMs: number
  readonly found: (one: FleetFinding) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
}

/** What is known of one workload, as it is written. */
interface Row {
  readonly last_ms: number | null
  readonly since_ms: number
  readonly told: FleetFinding | null
}

/**
 * Who of a list is silent (K-ROSTER), of those that fall to one partition. What it knows lies in the log, written at once with what it
 * says. Nobody is silent before all that is in the log was read.
 */
export class RosterWorker implements Worker {
  readonly #options: RosterWorkerOptions
  readonly #partition: number
  readonly #writer: LogWriter
  readonly #watched: ReadonlyMap<string, WatchedWorkload>
  #findings: FleetFinding[] = []
  #position: number
  #next: number
  #lookedAt = Number.NEGATIVE_INFINITY
  #flushedAt: number

  private constructor(
    options: RosterWorkerOptions,
    partition: number,
    from: number,
    writer: LogWriter,
    watched: ReadonlyMap<string, WatchedWorkload>,
  ) {
    this.#options = options
    this.#partition = partition
    this.#writer = writer
    this.#watched = watched
    this.#position = from
    this.#next = from
    this.#flushedAt = options.clock()
  }

  static async open(
    options: RosterWorkerOptions,
    partition: number,
    from: number,
    signal?: AbortSignal,
  ): Promise<RosterWorker> {
    const { log, topics, roster, clock } = options
    const writer = await log.writer(`${topics.state}-roster-${partition}`)
    try {
      const partitions = await log.partitions(topics.facts)
      const own = roster.filter(({ workload }) => spread(workload, partitions) === partition)
      const rows = new Map(
        own.map(({ workload }): [string, Row] => {
          return [PREFIX + workload, { last_ms: null, since_ms: clock(), told: null }]
        }),
      )
      for await (const record of recordsOf(log, topics.state, partition, signal)) {
        const state = decodeState(record)
        const key = state?.key ?? ''
        const known = state?.value as Partial<Row> | null
        if (!rows.has(key) || !Number.isSafeInteger(known?.since_ms)) continue
        rows.set(key, {
          last_ms: Number.isSafeInteger(known?.last_ms) ? (known?.last_ms as number) : null,
          since_ms: known?.since_ms as number,
          told: known?.told ?? null,
        })
      }
      const watched = own.map((one): [string, WatchedWorkload] => {
        const key = PREFIX + one.workload
        const { last_ms: lastMs, since_ms: sinceMs, told } = rows.get(key) as Row
        return [key, new WatchedWorkload(one, { lastMs, sinceMs, told })]
      })
      return new RosterWorker(options, partition, from, writer, new Map(watched))
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  /** What is known of all before is written. */
  get position(): number {
    return this.#position
  }

  async take({ records, next, end }: LogSlice): Promise<void> {
    for (const record of records)
      for (const one of decodeFacts(record)?.seen ?? []) this.#see(one, record.timestampMs)
    this.#next = next
    const now = this.#options.clock()
    if (next >= end && now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now
      for (const one of this.#watched.values()) this.#look(one, now)
    }
    const isDue = now - this.#flushedAt >= FLUSH_MS
    if (this.#findings.length > 0 || (isDue && this.#next > this.#position)) await this.#flush(now)
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }

  #see({ principal, timestampMs }: SeenFact, judgedMs: number): void {
    this.#watched.get(PREFIX + principal)?.see(timestampMs, judgedMs)
  }

  #look(one: WatchedWorkload, now: number): void {
    const said = one.look(now, this.#options.waitMs)
    if (said !== null) this.#findings.push(said)
  }

  async #flush(now: number): Promise<void> {
    const { topics, found } = this.#options
    const findings = this.#findings
    await this.#writer.append([
      ...findings.map((one) => findingRecord(topics.findings, one, now)),
      ...[...this.#watched].map(([key, { state }]) => {
        const value: Row = { last_ms: state.lastMs, since_ms: state.sinceMs, told: state.told }
        return encodeState(topics.state, this.#partition, { key, value })
      }),
    ])
    this.#findings = []
    this.#position = this.#next
    this.#flushedAt = now
    for (const one of findings) found(one)
  }
}
