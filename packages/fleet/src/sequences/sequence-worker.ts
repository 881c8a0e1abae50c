import {
  type AuditFinding,
  EntryIdWindow,
  type Facts,
  finding,
  type IdFact,
  OpenSequences,
  repeatedId,
  type SequenceRules,
} from '@kest/audit'
import { KestConfigError } from '@kest/core'
import { decodeFacts } from '../facts/fact-record.js'
import { LogClock } from '../judge/log-clock.js'
import { Gone, type Log, type LogRecord, type LogSlice, type LogWriter, type NewRecord } from '../log/log.js'
import { assertRead, recordsOf, slicesOf } from '../log/slices.js'
import { type FleetFinding, findingRecord, fleetFinding } from '../stage/finding-record.js'
import type { Worker } from '../stage/stage.js'
import type { FleetTopics } from '../topics.js'
import { decodeState, encodeState } from './state-record.js'

/** What is known is written so often, and after so much. */
const FLUSH_MS = 2_000
const FLUSH_FACTS = 20_000
const FEW_BYTES = 65_536
const META = 'sequences'

export interface SequenceWorkerOptions {
  readonly log: Log
  readonly topics: FleetTopics
  readonly rules: SequenceRules
  /** How long a number that misses may be on its way, milliseconds. */
  readonly waitMs: number
  /** How far back an `entry_id` is compared at least by who has taken over, milliseconds. */
  readonly lookBackMs: number
  readonly found: (one: FleetFinding) => void
  readonly clock: () => number
  readonly elapsed: () => number
  readonly bounds?: { readonly ofOne: number; readonly ofAll: number }
}

/** What is written of what a worker knows, beside it: up to where, and when that was. */
interface Meta {
  covered: number
  readonly now: number
}

/**
 * Judges what is found over all traces, for the processes and ids of one partition: numbers that miss or repeat, how they begin, and that
 * an `entry_id` is of one entry. What it knows lies in the log, written at once with what it says: whoever takes over goes on from there.
 */
export class SequenceWorker implements Worker {
  readonly #options: SequenceWorkerOptions
  readonly #partition: number
  readonly #writer: LogWriter
  readonly #clock: LogClock
  readonly #sequences: OpenSequences
  readonly #ids = new EntryIdWindow()
  /** What of it is to be written. */
  readonly #dirty = new Set<string>()
  #findings: FleetFinding[] = []
  #facts = 0
  #covered: number
  #next: number
  #flushedAt: number
  /** Of the log. */
  #now: number

  private constructor(
    options: SequenceWorkerOptions,
    partition: number,
    from: number,
    writer: LogWriter,
    { covered, now }: Meta,
  ) {
    this.#options = options
    this.#partition = partition
    this.#writer = writer
    const { rules, waitMs, bounds } = options
    this.#sequences = new OpenSequences({
      rules,
      waitMs,
      changed: (key) => void this.#dirty.add(key),
      ...(bounds === undefined ? {} : { bounds }),
    })
    this.#clock = new LogClock(options.elapsed)
    this.#now = this.#clock.see(now)
    this.#covered = covered
    this.#next = from
    this.#flushedAt = options.elapsed()
  }

  /** Nobody else judges the partition from then on, and what was known of it is. */
  static async open(
    options: SequenceWorkerOptions,
    partition: number,
    from: number,
    signal?: AbortSignal,
  ): Promise<SequenceWorker> {
    const { log, topics } = options
    const writer = await log.writer(`${topics.state}-sequences-${partition}`)
    try {
      const states = new Map<string, unknown>()
      for await (const record of recordsOf(log, topics.state, partition, signal)) {
        const state = decodeState(record)
        if (state?.value === null) states.delete(state.key)
        else if (state !== null) states.set(state.key, state.value)
      }
      const meta = metaOf(states.get(META), `${topics.state}/${partition}`)
      const { end } = await log.bounds(topics.facts, partition)
      meta.covered = Math.min(meta.covered, end - 1)
      const worker = new SequenceWorker(options, partition, from, writer, meta)
      worker.#restore(states)
      await worker.#readIds(meta, signal)
      return worker
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  /** All before it is written. */
  get position(): number {
    return Math.min(this.#next, this.#covered + 1)
  }

  get size(): number {
    return this.#sequences.size
  }

  async take({ records, next, end }: LogSlice): Promise<void> {
    for (const record of records) await this.#see(record)
    this.#next = next
    this.#now = this.#clock.now(next >= end)
    this.#sequences.pass(this.#now)
    const { elapsed } = this.#options
    const isDue = elapsed() - this.#flushedAt >= FLUSH_MS || this.#facts >= FLUSH_FACTS
    if (isDue && this.#hasNews) await this.#flush()
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }

  get #hasNews(): boolean {
    return this.#dirty.size + this.#findings.length + this.#facts > 0 || this.#sequences.hasNews
  }

  async #see(record: LogRecord): Promise<void> {
    const now = this.#clock.see(record.timestampMs)
    if (record.offset <= this.#covered) return
    const facts = decodeFacts(record)
    if (facts === null) {
      const place = `${this.#options.topics.facts}/${this.#partition}`
      const why = 'a record is not of this fleet, and was passed over'
      this.#say(finding('unreadable', why, { place: `${place}:${record.offset}` }), place)
      return
    }
    for (const one of facts.firsts) this.#sequences.first(one)
    for (const one of facts.numbers) this.#sequences.add(one, now)
    for (const one of facts.ids) await this.#id(one, record.offset)
    this.#facts += countOf(facts)
  }

  async #id(fact: IdFact, offset: number): Promise<void> {
    const { entryId } = fact
    const other = this.#ids.add(fact, offset)
    if (other !== null) this.#say(repeatedId(fact, await this.#hashOf(entryId, other)), `entry:${entryId}`)
  }

  /** Of the entry that an id was told to be of; `null` when retention took that. */
  async #hashOf(id: string, offset: number): Promise<string | null> {
    const { log, topics } = this.#options
    try {
      const slice = await log.read(topics.facts, this.#partition, offset, FEW_BYTES)
      assertRead(slice, topics.facts, this.#partition, offset)
      const record = slice.records.find((one) => one.offset === offset)
      const facts = record === undefined ? null : decodeFacts(record)
      return facts?.ids.find(({ entryId }) => entryId === id)?.hash ?? null
    } catch (error) {
      if (error instanceof Gone) return null
      throw error
    }
  }

  #say(one: AuditFinding, key: string): void {
    this.#findings.push(fleetFinding(one, key))
  }

  /** All that is known and said since the last time, at once. */
  async #flush(): Promise<void> {
    const { topics, clock, elapsed, found } = this.#options
    const findings = [...this.#findings, ...this.#sequences.news()]
    const state = (key: string, value: unknown): NewRecord =>
      encodeState(topics.state, this.#partition, { key, value })
    const covered = this.#next - 1
    const written = [
      ...findings.map((one) => findingRecord(topics.findings, one, clock())),
      ...[...this.#dirty].map((key) => state(key, this.#sequences.stateOf(key))),
      state(META, { covered, now: this.#now } satisfies Meta),
    ]
    await this.#writer.append(written)
    this.#findings = []
    this.#dirty.clear()
    this.#facts = 0
    this.#covered = covered
    this.#flushedAt = elapsed()
    for (const one of findings) found(one)
  }

  #restore(states: ReadonlyMap<string, unknown>): void {
    const place = `${this.#options.topics.state}/${this.#partition}`
    for (const key of this.#sequences.restore(states)) {
      const why = `what was known of ${key} cannot be read, and is begun anew`
      this.#say(finding('unreadable', why, { place }), place)
    }
  }

  /** Ids that were told last before. */
  async #readIds({ covered, now }: Meta, signal?: AbortSignal): Promise<void> {
    const { log, topics, lookBackMs } = this.#options
    if (covered < 0) return
    const from = await log.offsetAt(topics.facts, this.#partition, now - lookBackMs)
    for await (const { records } of slicesOf(log, topics.facts, this.#partition, from, signal)) {
      for (const record of records) {
        if (record.offset > covered) return
        for (const one of decodeFacts(record)?.ids ?? []) this.#ids.add(one, record.offset)
      }
    }
  }
}

function countOf({ numbers, ids, firsts, seen }: Facts): number {
  return numbers.length + ids.length + firsts.length + seen.length
}

/** @throws {KestConfigError} for what is none: to go on without would be to begin anew, and to forget what was said */
function metaOf(value: unknown, place: string): Meta {
  if (value === undefined) return { covered: -1, now: 0 }
  const { covered, now } = (value ?? {}) as Partial<Meta>
  if (Number.isSafeInteger(covered) && Number.isSafeInteger(now))
    return { covered: covered as number, now: now as number }
  throw new KestConfigError(`fleet: ${place}: the record "${META}" is not of this fleet`)
}
