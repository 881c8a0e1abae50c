import { type RosterWorkload, silent } from '@kest/audit'
import { decodeFacts, type SeenFact } from '../facts/fact-record.js'
import { spread } from '../facts/spread.js'
import type { Log, LogSlice, LogWriter } from '../log/log.js'
import { recordsOf } from '../log/slices.js'
import { decodeState, encodeState } from '../sequences/state-record.js'
import { type FleetFinding, findingRecord, fleetFinding } from '../stage/finding-record.js'
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

/** What is known of one workload. */
interface Row {
  readonly one: RosterWorkload
  /** When its last was made. */
  last_ms: number | null
  /** Since when it is looked for. */
  since_ms: number
  /** What was said of it, and stands. */
  told: FleetFinding | null
}

/**
 * Who of a list is silent (K-ROSTER), of those that fall to one partition. What it knows lies in the log, written at once with what it
 * says. Nobody is silent before all that is in the log was read.
 */
export class RosterWorker implements Worker {
  readonly #options: RosterWorkerOptions
  readonly #partition: number
  readonly #writer: LogWriter
  readonly #rows: ReadonlyMap<string, Row>
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
    rows: ReadonlyMap<string, Row>,
  ) {
    this.#options = options
    this.#partition = partition
    this.#writer = writer
    this.#rows = rows
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
        own.map((one): [string, Row] => {
          return [PREFIX + one.workload, { one, last_ms: null, since_ms: clock(), told: null }]
        }),
      )
      for await (const record of recordsOf(log, topics.state, partition, signal)) {
        const state = decodeState(record)
        const row = rows.get(state?.key ?? '')
        const known = state?.value as Partial<Row> | null
        if (row === undefined || !Number.isSafeInteger(known?.since_ms)) continue
        row.since_ms = known?.since_ms as number
        row.last_ms = Number.isSafeInteger(known?.last_ms) ? (known?.last_ms as number) : null
        row.told = known?.told ?? null
      }
      return new RosterWorker(options, partition, from, writer, rows)
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
      for (const row of this.#rows.values()) this.#look(row, now)
    }
    const isDue = now - this.#flushedAt >= FLUSH_MS
    if (this.#findings.length > 0 || (isDue && this.#next > this.#position)) await this.#flush(now)
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }

  /** What clocks differ by counts as of when it was judged: nobody is there in advance, however often it is read. */
  #see({ principal, timestampMs }: SeenFact, judgedMs: number): void {
    const row = this.#rows.get(PREFIX + principal)
    if (row === undefined) return
    row.last_ms = Math.max(row.last_ms ?? 0, Math.min(timestampMs, judgedMs))
  }

  #look(row: Row, now: number): void {
    const { one, last_ms: last, since_ms: since, told } = row
    const isSilent = now - Math.max(last ?? 0, since) > one.withinMs + this.#options.waitMs
    if (isSilent === (told !== null)) return
    row.told = isSilent ? fleetFinding(silent(one, last), `workload:${one.workload}`) : null
    this.#findings.push(row.told ?? { ...(told as FleetFinding), withdrawn: true })
  }

  async #flush(now: number): Promise<void> {
    const { topics, found } = this.#options
    const findings = this.#findings
    await this.#writer.append([
      ...findings.map((one) => findingRecord(topics.findings, one, now)),
      ...[...this.#rows].map(([key, { one: _one, ...value }]) =>
        encodeState(topics.state, this.#partition, { key, value }),
      ),
    ])
    this.#findings = []
    this.#position = this.#next
    this.#flushedAt = now
    for (const one of findings) found(one)
  }
}
