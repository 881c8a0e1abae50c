import {
  type AuditFinding,
  asFull,
  type ExportedSpan,
  finding,
  type JudgedLineage,
  type Lineage,
  type LineageSource,
  type Settled,
  Settling,
  type SettlingOptions,
  type TraceJson,
  type TraceJudge,
  traceJson,
} from '@kest/audit'
import { FactCollector, type ToldBefore } from '../facts/fact-collector.js'
import type { Log, LogRecord, LogSlice, LogWriter, NewRecord } from '../log/log.js'
import { decodeSpan, TRACE_ID, UNTRACED_KEY } from '../split/span-record.js'
import { type FleetFinding, findingRecord, fleetFinding } from '../stage/finding-record.js'
import type { Worker } from '../stage/stage.js'
import type { FleetTopics } from '../topics.js'
import type { EntryIndex } from './entry-index.js'
import type { JudgedPartition, Written } from './judged-partition.js'
import { KeptVerdicts } from './kept-verdicts.js'
import { knownIn, withKnown } from './known-entries.js'
import { LogClock } from './log-clock.js'
import { type Item, itemOf, PartitionReader } from './partition-reader.js'
import { offsetsOf, toRanges } from './positions.js'
import { ALL, COVERED_HEADER, encodeVerdict, mergePartial, type VerdictRecord } from './verdict-record.js'
import { WAITS_HEADER, type Waiting, waitsText } from './waiting.js'

/** Traces, and bytes of their spans, that are judged and written at once. */
const BATCH_TRACES = 512
const BATCH_BYTES = 8_388_608
/** What a record of a verdict may take. */
const MAX_VERDICT_BYTES = 4_194_304
/** Traces that have waited, and are judged once more at once: what has settled is not to wait for them. */
const AGAIN_AT_ONCE = 512
/** How often it is looked what retention took of the verdicts. */
const FORGET_MS = 3_600_000
const REFUSED =
  'traces that name what is nowhere yet are judged again only when more comes for them: too many wait already'

export interface JudgeWorkerOptions {
  readonly log: Log
  readonly topics: FleetTopics
  readonly judge: TraceJudge
  /** Of entries of all partitions; one for all judges of a process. */
  readonly entries: EntryIndex
  readonly settling: Required<SettlingOptions>
  /** Spans of one trace that are judged; of a larger one, no more are taken. */
  readonly maxTraceSpans: number
  /** How much older than a trace the entries of others may be that it builds on, milliseconds. */
  readonly lookBackMs: number
  /** @param delayMs by the time of the log, since its last span; `null`: nothing came for it */
  readonly judged: (verdict: VerdictRecord, delayMs: number | null) => void
  readonly found: (one: FleetFinding) => void
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Milliseconds since whenever. */
  readonly elapsed: () => number
}

/** A trace that is being judged. */
interface Case {
  readonly key: string
  readonly early: boolean
  readonly items: readonly Item[]
  readonly dropped: number
  readonly firstMs: number
  readonly lastMs: number | null
  readonly covered: number
  /** Asked again, though nothing came. */
  readonly again: boolean
}

/** A verdict that is to be written. */
interface Judgement {
  readonly key: string
  readonly record: VerdictRecord
  readonly covered: number
  readonly delayMs: number | null
  /** For what it names; `null`: it does not. */
  readonly waits: Waiting | null
}

/** What is known of a case before it is judged. */
interface Gathered {
  readonly one: Case
  /** Whether it was judged, be its verdict there still or not. */
  readonly known: boolean
  readonly before: VerdictRecord | null
  readonly partial: boolean
  readonly offsets: readonly number[]
}

/**
 * Judges the traces of one partition: each when it has settled, and again with all of its spans when more comes. Its state is in the log:
 * what is open here is read again by whoever comes next.
 */
export class JudgeWorker implements Worker {
  readonly #options: JudgeWorkerOptions
  readonly #partition: number
  readonly #reader: PartitionReader
  readonly #writer: LogWriter
  readonly #known: JudgedPartition
  readonly #settling: Settling<Item>
  readonly #clock: LogClock
  readonly #dropped = new Map<string, number>()
  readonly #facts: FactCollector
  readonly #kept: KeptVerdicts
  #next: number
  #forgotAt: number

  private constructor(
    options: JudgeWorkerOptions,
    partition: number,
    from: number,
    known: JudgedPartition,
    writer: LogWriter,
    partitions: number,
  ) {
    this.#options = options
    this.#partition = partition
    this.#reader = new PartitionReader(options.log, options.topics, partition)
    this.#writer = writer
    this.#known = known
    this.#settling = new Settling(options.settling)
    this.#clock = new LogClock(options.elapsed, known.judgedMs)
    this.#facts = new FactCollector(options.topics.facts, partitions)
    this.#kept = new KeptVerdicts(options, partition, known, writer)
    this.#next = from
    this.#forgotAt = options.elapsed()
  }

  /**
   * Nobody else judges the partition from then on, and what was judged of it is known.
   *
   * @param known what was known of it here, if anything was
   * @throws the signal's reason once it is aborted
   */
  static async open(
    options: JudgeWorkerOptions,
    partition: number,
    from: number,
    known: JudgedPartition,
    signal?: AbortSignal,
  ): Promise<JudgeWorker> {
    const { log, topics } = options
    const writer = await log.writer(`${topics.verdicts}-${partition}`)
    try {
      await known.follow(log, topics.verdicts, partition, signal)
      const partitions = await log.partitions(topics.facts)
      return new JudgeWorker(options, partition, from, known, writer, partitions)
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  /** Behind the oldest that is open. */
  get position(): number {
    return this.#settling.oldest?.items[0]?.offset ?? this.#next
  }

  get open(): number {
    return this.#settling.size
  }

  async take({ records, next, end }: LogSlice): Promise<void> {
    const strange: number[] = []
    for (const record of records) if (!this.#add(record)) strange.push(record.offset)
    if (strange.length > 0) await this.#report(strange)
    const now = this.#clock.now(next >= end)
    await this.#judgeDue(now)
    const { entries, lookBackMs, elapsed, log, topics } = this.#options
    entries.keep(
      this.#partition,
      Math.min((this.#settling.oldest?.firstMs ?? now) - lookBackMs, this.#known.waiting.sinceMs),
    )
    // What was judged before lies behind what is open, and so does what was passed over.
    this.#next = next
    await this.#kept.work(now)
    if (elapsed() - this.#forgotAt < FORGET_MS) return
    await this.#known.forget(log, topics.verdicts, this.#partition)
    this.#forgotAt = elapsed()
  }

  async close(): Promise<void> {
    this.#options.entries.leave(this.#partition)
    await this.#writer.close()
  }

  /** @returns whether it is one of ours */
  #add({ offset, timestampMs, key, value, headers }: LogRecord): boolean {
    const now = this.#clock.see(timestampMs)
    if (value === null || key === null || (key !== UNTRACED_KEY && !TRACE_ID.test(key))) return false
    if (offset <= this.#known.coveredOf(key)) return true
    const open = this.#settling.get(key)
    if ((open?.items.length ?? 0) >= this.#options.maxTraceSpans) {
      this.#dropped.set(key, (this.#dropped.get(key) ?? 0) + 1)
      return true
    }
    const item = itemOf(offset, value, headers)
    this.#settling.add(key, item, value.length + item.source.length + 128, now)
    return true
  }

  async #report(offsets: readonly number[]): Promise<void> {
    const { log, topics, found, clock } = this.#options
    const place = `${topics.entries}/${this.#partition}`
    const why = `${offsets.length} records are not of this fleet, and were passed over`
    const one = fleetFinding(
      finding('unreadable', why, { place: `${place}:${offsets[0]}`, times: offsets.length }),
      place,
    )
    await log.append([findingRecord(topics.findings, one, clock())])
    found(one)
  }

  async #judgeDue(now: number): Promise<void> {
    let batch: Case[] = []
    let bytes = 0
    for (const one of this.#due(now)) {
      batch.push(one)
      bytes += one.items.reduce((sum, { value }) => sum + value.length, 0)
      if (batch.length < BATCH_TRACES && bytes < BATCH_BYTES) continue
      await this.#judge(batch, now)
      batch = []
      bytes = 0
    }
    if (batch.length > 0) await this.#judge(batch, now)
  }

  *#due(now: number): Generator<Case> {
    const settled = new Set<string>()
    for (const one of this.#settling.due(now)) {
      settled.add(one.key)
      yield this.#caseOf(one)
    }
    let left = AGAIN_AT_ONCE
    for (const [key, { sinceMs }] of this.#known.waiting.due(now)) {
      // It is judged with what has come for it meanwhile.
      if (settled.has(key) || this.#settling.get(key) !== undefined) continue
      if (left-- === 0) return
      const covered = this.#known.coveredOf(key)
      const firstMs = Math.min(now, sinceMs + this.#options.lookBackMs)
      yield { key, early: false, items: [], dropped: 0, firstMs, lastMs: null, covered, again: true }
    }
  }

  #caseOf({ key, early, items, firstMs, lastMs }: Settled<Item>): Case {
    const dropped = this.#dropped.get(key) ?? 0
    this.#dropped.delete(key)
    const covered = (items.at(-1) as Item).offset
    return { key, early, items, dropped, firstMs, lastMs, covered, again: false }
  }

  async #judge(cases: readonly Case[], now: number): Promise<void> {
    const gathered = new Map<string, Gathered>()
    const lineages: Lineage[] = []
    for (const one of cases) {
      if (one.key === UNTRACED_KEY) this.#gatherUntraced(one, gathered, lineages)
      else await this.#gather(one, gathered, lineages)
    }
    const place = `${this.#options.topics.entries}/${this.#partition}`
    const notes: FleetFinding[] = []
    const note = (one: AuditFinding): void => void notes.push(fleetFinding(one, place))
    const verdicts: Judgement[] = []
    const unchanged: Judgement[] = []
    const { waiting } = this.#known
    // Of one whose verdict retention took nothing is left to be judged.
    for (const { key, again } of cases) if (again && !gathered.has(key)) waiting.set(key, null)
    let { room } = waiting
    const refused: number[] = []
    for await (const judged of this.#options.judge.judge(
      this.#sourceOf(cases, lineages, gathered, now),
      note,
    )) {
      const known = gathered.get(judged.id) as Gathered
      const { one, before } = known
      const verdict = this.#verdictOf(judged, known)
      const delayMs = one.lastMs === null ? null : now - one.lastMs
      const isToWait = judged.wanting && !one.again && TRACE_ID.test(one.key)
      const hasRoom = isToWait && (waiting.has(one.key) || room-- > 0)
      if (isToWait && !hasRoom) refused.push(one.covered)
      const waits = hasRoom ? waiting.timesAt(now, this.#options.settling.maxAgeMs) : null
      const more = { delayMs, waits }
      if (verdict !== null) {
        verdicts.push({ ...verdict, ...more })
        this.#facts.add(judged.report, toldBefore(known), this.#options.clock())
      } else unchanged.push({ key: one.key, record: before as VerdictRecord, covered: one.covered, ...more })
    }
    if (refused.length > 0)
      note(finding('limit', REFUSED, { place: `${place}:${refused[0]}`, times: refused.length }))
    await this.#write(verdicts, unchanged, notes)
    for (const { record, delayMs } of verdicts) this.#options.judged(record, delayMs)
    for (const one of notes) this.#options.found(one)
  }

  #sourceOf(
    cases: readonly Case[],
    lineages: readonly Lineage[],
    gathered: ReadonlyMap<string, Gathered>,
    now: number,
  ): LineageSource {
    const { entries, lookBackMs } = this.#options
    const firstMs = Math.min(...cases.map((one) => one.firstMs))
    entries.earn(cases.flatMap(({ items }) => items).reduce((sum, { value }) => sum + value.length, 0))
    const search = entries.search(firstMs - lookBackMs, now + lookBackMs)
    const known = knownIn([...gathered.values()].flatMap(({ before }) => before ?? []))
    return {
      lineages: (only) => (only === undefined ? lineages : lineages.filter(({ id }) => only.has(id))),
      entries: (named) => withKnown(known, named, search),
      unsought: search.unsought,
    }
  }

  /** At once: verdicts; those that are as they were, that they do not wait any more; and what was found with them. */
  async #write(
    verdicts: readonly Judgement[],
    unchanged: readonly Judgement[],
    notes: readonly FleetFinding[],
  ): Promise<void> {
    const { topics, clock } = this.#options
    const both = [topics.verdicts, topics.log]
    const written = [
      ...verdicts.flatMap((one) => this.#recordsOf(one, both)),
      ...unchanged.flatMap((one) => this.#recordsOf(one, [topics.verdicts])),
      ...notes.map((one) => findingRecord(topics.findings, one, clock())),
      ...this.#facts.records(),
    ]
    const offsets = await this.#writer.append(written)
    const ofVerdicts = offsets.filter((_, n) => written[n]?.topic === topics.verdicts)
    this.#known.add(
      [...verdicts, ...unchanged].map(({ key, covered, waits }, n): Written => {
        return { key, judged: { verdict: ofVerdicts[n] as number, covered }, waits }
      }),
    )
  }

  /** All spans of a trace: those that came, and those of its verdict before, read again. */
  async #gather(one: Case, gathered: Map<string, Gathered>, lineages: Lineage[]): Promise<void> {
    const judged = this.#known.get(one.key)
    const before = judged === undefined ? null : await this.#reader.verdictBefore(one.key, judged)
    const old = before === null ? [] : [...offsetsOf(before.fleet.positions.offsets)]
    const { found, missing } = await this.#reader.spansAt(old)
    const bySource = new Map<string, Item>()
    for (const item of [...found, ...one.items])
      if (!bySource.has(item.source)) bySource.set(item.source, item)
    const items = [...bySource.values()]
    const isNews = one.dropped > 0 || items.some(({ offset }) => offset > (judged?.covered ?? -1))
    if (one.again ? before === null : !isNews) return
    const offsets = [...new Set([...old, ...items.map(({ offset }) => offset)])].sort((a, b) => a - b)
    const { maxTraceSpans } = this.#options
    const dropped = one.dropped + Math.max(0, offsets.length - maxTraceSpans)
    const partial = missing || before?.fleet.partial === true
    gathered.set(one.key, { one: { ...one, dropped }, known: judged !== undefined, before, partial, offsets })
    lineages.push(unreadLineage(one.key, items.slice(0, maxTraceSpans)))
  }

  /** What names no trace is judged by the links among what came together. */
  #gatherUntraced(one: Case, gathered: Map<string, Gathered>, lineages: Lineage[]): void {
    const offsets = new Map<ExportedSpan, number>()
    const seen = new Set<string>()
    for (const item of one.items) {
      if (seen.has(item.source)) continue
      seen.add(item.source)
      const [span] = spansOf([item])
      if (span !== undefined) offsets.set(span, item.offset)
    }
    for (const [n, spans] of this.#options.judge.split([...offsets.keys()]).entries()) {
      const id = `${UNTRACED_KEY} ${n}`
      const own = spans.map((span) => offsets.get(span) as number).sort((a, b) => a - b)
      gathered.set(id, { one, known: true, before: null, partial: false, offsets: own })
      lineages.push({ id, traceId: null, spans })
    }
  }

  /** @returns `null` when nothing has changed */
  #verdictOf(
    { report }: JudgedLineage,
    { one, before, partial, offsets }: Gathered,
  ): { key: string; record: VerdictRecord; covered: number } | null {
    const { topics, clock } = this.#options
    let trace: TraceJson = traceJson(report)
    if (one.dropped > 0) trace = asFull(trace, this.#options.maxTraceSpans)
    if (partial && before !== null) trace = mergePartial(trace, before)
    if (one.again && before !== null && isSame(trace, before)) return null
    const record: VerdictRecord = {
      ...trace,
      fleet: {
        format: 'kest-verdict-1',
        judged_at: clock(),
        early: one.early,
        partial,
        replaces: before === null ? null : { verdict: before.verdict, judged_at: before.fleet.judged_at },
        positions: { topic: topics.entries, partition: this.#partition, offsets: toRanges(offsets) },
      },
    }
    const untraced = one.key === UNTRACED_KEY
    const first = trace.entries.map(({ hash }) => hash).sort()[0] ?? `${this.#partition}-${offsets[0]}`
    const isFull = one.dropped > 0 && !untraced
    return {
      key: untraced ? `${UNTRACED_KEY}:${first}` : one.key,
      record,
      covered: isFull ? Number.POSITIVE_INFINITY : one.covered,
    }
  }

  #recordsOf({ key, record, covered, waits }: Judgement, topics: readonly string[]): NewRecord[] {
    const value = encodeVerdict(record, MAX_VERDICT_BYTES)
    const headers = {
      [COVERED_HEADER]: covered === Number.POSITIVE_INFINITY ? ALL : String(covered),
      ...(waits === null ? {} : { [WAITS_HEADER]: waitsText(waits) }),
    }
    const partition = this.#partition
    return topics.map((topic) => ({ topic, partition, key, value, headers }))
  }
}

/** Of what names no trace, or whose verdict is gone or was cut, something may have been told before. */
function toldBefore({ known, before }: Gathered): ToldBefore {
  if (before === null) return { verdict: null, whole: !known }
  const { entries_omitted: omitted, denials, denial_count: count = denials.length } = before
  return { verdict: before, whole: omitted === undefined && count === denials.length }
}

/** Its spans are read each time that they are asked for: those of all that is judged at once would be in memory together. */
function unreadLineage(traceId: string, items: readonly Item[]): Lineage {
  return {
    id: traceId,
    traceId,
    get spans() {
      return spansOf(items)
    },
  }
}

function spansOf(items: readonly Item[]): ExportedSpan[] {
  return items.map(decodeSpan).filter((span) => span !== null)
}

function isSame(
  trace: TraceJson,
  { fleet: _fleet, entries_omitted: _omitted, ...before }: VerdictRecord,
): boolean {
  return JSON.stringify(trace) === JSON.stringify(before)
}
