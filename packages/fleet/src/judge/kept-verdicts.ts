import { finding } from '@kest/audit'
import { Gone, type Log, type LogRecord, type LogSlice, type LogWriter } from '../log/log.js'
import { assertRead } from '../log/slices.js'
import { type FleetFinding, findingRecord, fleetFinding } from '../stage/finding-record.js'
import type { FleetTopics } from '../topics.js'
import type { JudgedPartition } from './judged-partition.js'
import { decodeVerdict, isGrave } from './verdict-record.js'

/** How old a verdict is that is written once more, as a part of what its topic keeps: nobody may be at work for longer than half of it. */
const DUE = 1 / 4
/** How much later the next are looked for, as a part of it, and at most. */
const ROUND = 1 / 16
const MAX_ROUND_MS = 86_400_000
/** How often it is looked whether a topic that keeps all of them still does. */
const LOOK_MS = 3_600_000
const LATE = 'records of verdicts were gone before it was seen whether they are to stay'

export interface KeptVerdictsOptions {
  readonly log: Log
  readonly topics: FleetTopics
  readonly found: (one: FleetFinding) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Milliseconds since whenever. */
  readonly elapsed: () => number
}

/**
 * Of one partition the verdicts that outlive the retention of their topic (K-FLEET): of a trace that was `broken`, spans that come after it
 * would make `verified` if nobody knew. Those that are grave and the last of their trace are written once more as they are, with a new time.
 * What names no trace is not among them: nothing that comes later is judged with it.
 */
export class KeptVerdicts {
  readonly #options: KeptVerdictsOptions
  readonly #topic: string
  readonly #partition: number
  readonly #known: JudgedPartition
  readonly #writer: LogWriter
  /** What lies before was seen; `null`: nobody has begun. */
  #next: number | null = null
  /** What lies before is due. */
  #until = 0
  #roundAt = Number.NEGATIVE_INFINITY

  /** @param writer the one that alone writes verdicts of the partition */
  constructor(options: KeptVerdictsOptions, partition: number, known: JudgedPartition, writer: LogWriter) {
    this.#options = options
    this.#topic = options.topics.verdicts
    this.#partition = partition
    this.#known = known
    this.#writer = writer
  }

  /**
   * Some of what is due, and no more than is read at once: what is to be judged does not wait for all of it.
   * @param logMs the time of the log of spans, which may be far behind
   */
  async work(logMs: number): Promise<void> {
    const from = await this.#due(logMs)
    if (from === null) return
    const { records, next } = await this.#read(from)
    const again = records.filter((one) => one.offset < this.#until && this.#isToStay(one))
    const written = again.map(({ key, value, headers }) => ({
      topic: this.#topic,
      partition: this.#partition,
      key: key as string,
      value,
      headers: Object.fromEntries(headers),
    }))
    const offsets = await this.#writer.append(written)
    for (const [n, { key }] of written.entries()) this.#known.move(key, offsets[n] as number)
    this.#next = Math.min(next, this.#until)
  }

  /** @returns where to go on; `null` when nothing is due */
  async #due(logMs: number): Promise<number | null> {
    if (this.#next !== null && this.#next < this.#until) return this.#next
    const { log, clock, elapsed } = this.#options
    if (elapsed() < this.#roundAt) return null
    const retentionMs = await log.retentionMs(this.#topic)
    this.#roundAt = elapsed() + (retentionMs === null ? LOOK_MS : Math.min(ROUND * retentionMs, MAX_ROUND_MS))
    if (retentionMs === null) return null
    // Of two clocks the later: what is written too early is written more often, and what is too late is gone.
    const nowMs = Math.max(clock(), logMs)
    this.#until = await log.offsetAt(this.#topic, this.#partition, nowMs - DUE * retentionMs)
    const { start, end } = await log.bounds(this.#topic, this.#partition)
    if (this.#next === null || this.#next > end) this.#next = start
    else if (this.#next < start) await this.#skip(this.#next, start)
    return this.#next < this.#until ? this.#next : null
  }

  async #read(from: number): Promise<LogSlice> {
    const { log } = this.#options
    try {
      const slice = await log.read(this.#topic, this.#partition, from)
      assertRead(slice, this.#topic, this.#partition, from)
      return slice
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      const { start, end } = await log.bounds(this.#topic, this.#partition)
      if (from < start) await this.#skip(from, start)
      return { records: [], bytes: 0, next: from < start ? start : this.#until, end }
    }
  }

  #isToStay({ key, offset, value }: LogRecord): boolean {
    if (key === null || this.#known.get(key)?.verdict !== offset) return false
    const verdict = decodeVerdict(value)
    return verdict !== null && isGrave(verdict)
  }

  /** Retention was faster. */
  async #skip(from: number, to: number): Promise<void> {
    const { log, topics, found, clock } = this.#options
    const place = `${this.#topic}/${this.#partition}`
    const one = fleetFinding(finding('limit', LATE, { place, times: to - from }), place)
    await log.append([findingRecord(topics.findings, one, clock())])
    found(one)
    this.#next = to
  }
}
