import { type AuditFinding, finding, ownerOf, type SequenceRules } from '@kest/audit'
import { KestConfigError } from '@kest/core'
import {
  decodeFacts,
  type Facts,
  type FirstFact,
  type IdFact,
  type NumberFact,
} from '../facts/fact-record.js'
import { LogClock } from '../judge/log-clock.js'
import { Gone, type Log, type LogRecord, type LogSlice, type LogWriter, type NewRecord } from '../log/log.js'
import { assertRead, recordsOf, slicesOf } from '../log/slices.js'
import { type FleetFinding, findingRecord, fleetFinding } from '../stage/finding-record.js'
import type { Worker } from '../stage/stage.js'
import type { FleetTopics } from '../topics.js'
import { EntryIdWindow } from './entry-id-window.js'
import { HeldSequence, heldStateOf } from './held-sequence.js'
import { SequenceTable } from './sequence-table.js'
import { decodeState, encodeState } from './state-record.js'

/** What is known is written so often, and after so much. */
const FLUSH_MS = 2_000
const FLUSH_FACTS = 20_000
/** Ranges of numbers, and what was said of them, of one principal's processes and of all; and how long one may be quiet. */
const BOUNDS = { ofOne: 32_768, ofAll: 524_288 }
const QUIET_MS = 7 * 86_400_000
/** Of a process that was quiet so long nobody is told that it is held no more. */
const OLD_MS = 86_400_000
const FEW_BYTES = 65_536
const META = 'sequences'
const PREFIX = { held: 'sequence ', first: 'first ' } as const

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
  readonly #held: SequenceTable
  readonly #ids = new EntryIdWindow()
  /** By kind and owner. */
  readonly #since = new Map<string, number>()
  /** Those that wait, in the order in which their wait is over. */
  readonly #waiting = new Map<string, HeldSequence>()
  /** What is to be written: of what is known, and of what is judged anew. */
  readonly #dirty = new Set<string>()
  readonly #stale = new Set<string>()
  readonly #dropped = new Set<string>()
  readonly #forgotten = new Map<string, number>()
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
    this.#held = new SequenceTable(options.bounds ?? BOUNDS)
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
    return this.#held.size
  }

  async take({ records, next, end }: LogSlice): Promise<void> {
    for (const record of records) await this.#see(record)
    this.#next = next
    this.#now = this.#clock.now(next >= end)
    this.#judgeDue(this.#now)
    const { elapsed } = this.#options
    const isDue = elapsed() - this.#flushedAt >= FLUSH_MS || this.#facts >= FLUSH_FACTS
    if (isDue && this.#hasNews) await this.#flush()
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }

  get #hasNews(): boolean {
    return (
      this.#dirty.size + this.#stale.size + this.#dropped.size + this.#findings.length > 0 || this.#facts > 0
    )
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
    for (const one of facts.firsts) this.#first(one)
    for (const one of facts.numbers) this.#number(one, now)
    for (const one of facts.ids) await this.#id(one, record.offset)
    this.#facts += countOf(facts)
  }

  #first({ what, principal, timestampMs }: FirstFact): void {
    const key = `${what} ${ownerOf(principal, this.#options.rules)}`
    if ((this.#since.get(key) ?? Number.POSITIVE_INFINITY) <= timestampMs) return
    this.#since.set(key, timestampMs)
    this.#dirty.add(PREFIX.first + key)
    const group = this.#options.rules.shared.find((names) => names.includes(principal)) ?? [principal]
    for (const name of group)
      for (const [held, one] of this.#held.of(name)) if (one.beganLate) this.#stale.add(held)
  }

  #number(fact: NumberFact, now: number): void {
    const key = `${fact.what} ${fact.process}`
    const held = this.#held.get(key) ?? HeldSequence.begin(fact, this.#options.rules)
    const { repeated, stale } = held.add(fact, now)
    this.#held.touch(key, held)
    this.#dropped.delete(key)
    if (repeated !== null) this.#say(repeated, keyOf(fact.process))
    if (stale) this.#stale.add(key)
    this.#dirty.add(PREFIX.held + key)
    if (held.wait(now + this.#options.waitMs)) this.#waiting.set(key, held)
    for (const [other, one] of this.#held.beyond(held.principal)) {
      this.#drop(other)
      if (now - one.lastMs < OLD_MS)
        this.#forgotten.set(one.principal, (this.#forgotten.get(one.principal) ?? 0) + 1)
    }
  }

  #drop(key: string): void {
    this.#waiting.delete(key)
    this.#stale.delete(key)
    this.#dirty.delete(PREFIX.held + key)
    this.#dropped.add(key)
  }

  async #id({ entryId, content, hash }: IdFact, offset: number): Promise<void> {
    const other = this.#ids.add(entryId, content, offset)
    if (other === null) return
    const first = await this.#hashOf(entryId, other)
    const which = first === null ? 'another entry' : `entry ${first}`
    const message = `its entry_id, ${entryId}, is also that of ${which}, of another trace`
    this.#say(finding('entry-id-repeated', message, { entryHash: hash }), `entry:${entryId}`)
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

  #judgeDue(now: number): void {
    for (const [key, held] of this.#waiting) {
      if ((held.dueMs as number) > now) break
      this.#waiting.delete(key)
      const more = held.settle()
      this.#stale.add(key)
      this.#dirty.add(PREFIX.held + key)
      if (more && held.wait(now + this.#options.waitMs)) this.#waiting.set(key, held)
    }
    for (const [key] of this.#held.quiet(now - QUIET_MS)) this.#drop(key)
  }

  #say(one: AuditFinding, key: string, withdrawn = false): void {
    this.#findings.push(fleetFinding(one, key, withdrawn))
  }

  /** All that is known and said since the last time, at once. */
  async #flush(): Promise<void> {
    const { topics, clock, elapsed, found } = this.#options
    for (const key of this.#stale) this.#judge(key)
    for (const [principal, times] of this.#forgotten) {
      const why = `numbers of processes of ${principal} are judged no more: it has more processes than are held`
      this.#say(finding('limit', why, { times }), `workload:${principal}`)
    }
    const findings = this.#findings
    const state = (key: string, value: unknown): NewRecord =>
      encodeState(topics.state, this.#partition, { key, value })
    const covered = this.#next - 1
    const written = [
      ...findings.map((one) => findingRecord(topics.findings, one, clock())),
      ...[...this.#dropped].map((key) => state(PREFIX.held + key, null)),
      ...[...this.#dirty].map((key) => state(key, this.#stateOf(key))),
      state(META, { covered, now: this.#now } satisfies Meta),
    ]
    await this.#writer.append(written)
    this.#findings = []
    for (const known of [this.#dirty, this.#stale, this.#dropped, this.#forgotten]) known.clear()
    this.#facts = 0
    this.#covered = covered
    this.#flushedAt = elapsed()
    for (const one of findings) found(one)
  }

  #judge(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    const since = (owner: string): number =>
      this.#since.get(`${held.sequence.what} ${owner}`) ?? Number.POSITIVE_INFINITY
    for (const { finding: one, withdrawn } of held.changes(since))
      this.#say(one, keyOf(held.sequence.process), withdrawn)
    this.#dirty.add(PREFIX.held + key)
  }

  #stateOf(key: string): unknown {
    if (key.startsWith(PREFIX.first)) return this.#since.get(key.slice(PREFIX.first.length)) ?? null
    return this.#held.get(key.slice(PREFIX.held.length))?.state ?? null
  }

  #restore(states: ReadonlyMap<string, unknown>): void {
    const restored: [string, HeldSequence][] = []
    for (const [key, value] of states) {
      if (key.startsWith(PREFIX.first) && Number.isSafeInteger(value))
        this.#since.set(key.slice(PREFIX.first.length), value as number)
      if (!key.startsWith(PREFIX.held)) continue
      const state = heldStateOf(value)
      if (state === null) this.#strange(key)
      else restored.push([key.slice(PREFIX.held.length), new HeldSequence(state, this.#options.rules)])
    }
    restored.sort(([, one], [, other]) => one.lastMs - other.lastMs)
    for (const [key, held] of restored) this.#held.touch(key, held)
    const waiting = restored.filter(([, { dueMs }]) => dueMs !== null)
    waiting.sort(([, one], [, other]) => (one.dueMs as number) - (other.dueMs as number))
    for (const [key, held] of waiting) this.#waiting.set(key, held)
  }

  #strange(key: string): void {
    const place = `${this.#options.topics.state}/${this.#partition}`
    this.#say(
      finding('unreadable', `what was known of ${key} cannot be read, and is begun anew`, { place }),
      place,
    )
  }

  /** Ids that were told last before. */
  async #readIds({ covered, now }: Meta, signal?: AbortSignal): Promise<void> {
    const { log, topics, lookBackMs } = this.#options
    if (covered < 0) return
    const from = await log.offsetAt(topics.facts, this.#partition, now - lookBackMs)
    for await (const { records } of slicesOf(log, topics.facts, this.#partition, from, signal)) {
      for (const record of records) {
        if (record.offset > covered) return
        for (const { entryId, content } of decodeFacts(record)?.ids ?? [])
          this.#ids.add(entryId, content, record.offset)
      }
    }
  }
}

function keyOf(process: string): string {
  return `process:${process}`
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
