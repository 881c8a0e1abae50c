import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assertOptions, KestConfigError, KestError } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { DiskRoom } from '../group/disk-room.js'
import { lineageKey, UNTRACED } from '../group/lineage-key.js'
import type { Lineage } from '../group/partition.js'
import { JUDGE_OPTIONS } from '../judge/options.js'
import { TraceJudge, type TraceJudgeOptions } from '../judge/trace-judge.js'
import { asFull, type TraceJson, traceJson } from '../report/trace-json.js'
import { type RosterWorkload, resolveRoster } from '../roster/roster.js'
import { resolveSettling, type Settled, Settling, type SettlingOptions } from '../settle/settling.js'
import type { ExportedSpan } from '../span/exported-span.js'
import type { FollowedBatch } from './followed-batch.js'
import { OverTraces } from './over-traces.js'
import { digestOf, NOWHERE, SpanLog, type Told } from './span-log.js'

/** Traces, and bytes of their spans, that are judged at once. */
const BATCH_TRACES = 512
const BATCH_BYTES = 8_388_608
/** Of a span that lies in the file, what is held in memory. */
const HELD_BYTES = 64
/** Traces that name what is nowhere yet, and are judged once more. */
const MAX_WANTING = 65_536
/** How much older than a trace the entries of others may be that it builds on. */
const LOOK_BACK_MS = 3_600_000
/** What a map holds is no more than 2²⁴. */
const MAX_TRACES = 16_000_000

/** How traces are judged as they settle. */
export interface TraceFollowerOptions extends TraceJudgeOptions {
  /** When a trace is judged. */
  readonly settling?: SettlingOptions
  /** Spans of one trace that are judged; of a larger one no more are taken, and that is a finding `limit`. Default 20,000. */
  readonly maxTraceSpans?: number
  /**
   * Which workloads should show themselves, and how often (K-ROSTER): one that does not, for so long and as long as a trace may wait for its
   * verdict, is a finding `silent`, which is withdrawn when it does. Default: none is looked for.
   */
  readonly roster?: readonly RosterWorkload[]
  /** Folder for the temporary file, which holds all spans there were. Default: the system's. */
  readonly folder?: string
}

/** A verdict, as a fleet says it: that of `kest audit --json`, and how it came about. */
export interface FollowedVerdict extends TraceJson {
  readonly fleet: {
    readonly format: 'kest-verdict-1'
    /** Milliseconds since the epoch. */
    readonly judged_at: number
    /** Judged as it stood, because too much was open. */
    readonly early: boolean
    /** Whether not all of its spans could be read again: never here. */
    readonly partial: boolean
    /** The verdict before; `null` for the first. */
    readonly replaces: { readonly verdict: TraceJson['verdict']; readonly judged_at: number } | null
  }
}

/** What came of what was read: a verdict, or what was found that is of no trace. */
export type Followed =
  | { readonly verdict: FollowedVerdict; readonly finding: null }
  | { readonly verdict: null; readonly finding: FollowedFinding }

/** What was found that is of no trace: of files, or over all traces. */
export interface FollowedFinding extends AuditFinding {
  /** Whose it is, as a fleet says it: `process:<uuid>`, `entry:<entry_id>`, `workload:<principal>`; `null` for what was read. */
  readonly key: string | null
  /** Whether it was said before, and stands no more. */
  readonly withdrawn: boolean
}

/** What was read and said so far. */
export interface FollowedCounts {
  readonly spans: number
  readonly otherSpans: number
  readonly verdicts: number
}

/** A trace that is judged now. */
interface Case {
  readonly id: string
  readonly lineage: Lineage
  readonly early: boolean
  readonly told: Told | null
  /** Spans of which it was judged before. */
  readonly toldSpans: readonly ExportedSpan[]
  /** Whether it has more spans than are judged. */
  readonly full: boolean
  readonly again: boolean
}

/**
 * Judges traces as they settle, for ever: each when nothing came for it for so long, and again, with *all* of its spans, when more comes,
 * so that late ones never turn `broken` into `verified` (K-FLEET). Spans lie in a temporary file; in memory are a hundred bytes for each
 * trace there was, and 17 for each entry of the last hour.
 *
 * What is found over all traces, such as gaps in the numbers of a process, is a finding of its own once it was waited for, and withdrawn when what was
 * missing comes; at the end, what stands is what an {@link Audit} of the same spans says.
 */
export class TraceFollower {
  readonly #judge: TraceJudge
  readonly #settling: Settling<number>
  readonly #maxAgeMs: number
  readonly #lookBackMs: number
  readonly #maxTraceSpans: number
  readonly #folder: string
  readonly #log: SpanLog
  readonly #room: DiskRoom
  /** The last record of each trace. */
  readonly #last = new Map<string, number>()
  readonly #over: OverTraces
  /** Of these no more spans are taken. */
  readonly #full = new Set<string>()
  /** By trace, when it is judged once more. */
  readonly #wanting = new Map<string, number>()
  #untracedLeft = 0
  /** Milliseconds since all was read that was there in the beginning. */
  #now = 0
  #sinceMs: number | null = null
  #closed = false
  #spans = 0
  #otherSpans = 0
  #verdicts = 0

  /** @throws {KestError} `ERR_KEST_CONFIG` for options that are unknown or wrong; `ERR_KEST_EVIDENCE` when there is no place for the file */
  constructor(options: TraceFollowerOptions) {
    const known = [...JUDGE_OPTIONS, 'memory', 'settling', 'maxTraceSpans', 'roster', 'folder']
    assertOptions('trace follower', options, known)
    const { settling: asked = {}, maxTraceSpans = 20_000, roster, folder = tmpdir(), ...judge } = options
    const workloads = roster === undefined ? [] : resolveRoster(roster)
    if (!Number.isSafeInteger(maxTraceSpans) || maxTraceSpans < 1)
      throw new KestConfigError('trace follower: maxTraceSpans: expected a positive integer')
    if (typeof folder !== 'string') throw new KestConfigError('trace follower: folder: expected a path')
    this.#judge = new TraceJudge(judge)
    const settling = resolveSettling(asked)
    this.#settling = new Settling(settling)
    this.#lookBackMs = settling.maxAgeMs + LOOK_BACK_MS
    this.#maxAgeMs = settling.maxAgeMs
    this.#maxTraceSpans = maxTraceSpans
    this.#folder = folderIn(folder)
    this.#log = new SpanLog(join(this.#folder, 'spans'), { keepMs: this.#lookBackMs })
    this.#room = new DiskRoom(this.#folder)
    this.#over = new OverTraces({
      rules: this.#judge.sequenceRules,
      roster: workloads,
      waitMs: settling.maxAgeMs + settling.settleMs,
      placeOf: (hash) => this.#log.placeOf(hash),
      hashAt: (place) => this.#log.hashAt(place),
    })
  }

  get counts(): FollowedCounts {
    return { spans: this.#spans, otherSpans: this.#otherSpans, verdicts: this.#verdicts }
  }

  /**
   * Judges what a source yields, until it ends: then all that is open.
   *
   * @throws what the source throws
   * @throws {KestError} `ERR_KEST_LIMIT` when the temporary file would take more than half of what was free on its disk, or for more than
   *   16,000,000 traces; `ERR_KEST_EVIDENCE` when it cannot be written; what key sources throw that is about no entry
   */
  async *follow(source: AsyncIterable<FollowedBatch>): AsyncGenerator<Followed> {
    for await (const { spans, others, findings, atEnd } of source) {
      for (const one of findings) yield found(one)
      for (const span of spans) this.#add(span)
      this.#otherSpans += others
      if (spans.length > 0) await this.#room.assertLeft()
      if (atEnd) {
        // What was there in the beginning came at once, however long reading it took.
        this.#sinceMs ??= performance.now()
        this.#now = performance.now() - this.#sinceMs
      }
      yield* this.#judgeAll(this.#settling.due(this.#now), (at) => at <= this.#now)
      if (atEnd) yield* standing(this.#over.news(this.#now))
    }
    yield* this.#judgeAll(this.#settling.all(), () => true)
    yield* standing(this.#over.end())
  }

  /** Removes the temporary file. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#log.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #add(span: ExportedSpan): void {
    this.#spans++
    const key = lineageKey(span)
    const open = this.#settling.get(key)?.items.length ?? 0
    if (key === UNTRACED) {
      if (open < this.#maxTraceSpans)
        this.#settling.add(key, this.#log.addSpan(key, span, NOWHERE, this.#now), HELD_BYTES, this.#now)
      else this.#untracedLeft++
      return
    }
    if (open >= this.#maxTraceSpans) this.#full.add(key)
    if (this.#full.has(key)) return
    const id = idOf(key)
    const at = this.#log.addSpan(key, span, this.#last.get(id) ?? NOWHERE, this.#now)
    this.#last.set(id, at)
    if (this.#last.size > MAX_TRACES)
      throw new KestError('ERR_KEST_LIMIT', `more than ${MAX_TRACES} traces were followed: begin anew`)
    this.#settling.add(key, at, HELD_BYTES, this.#now)
  }

  async *#judgeAll(
    settled: Iterable<Settled<number>>,
    isDue: (at: number) => boolean,
  ): AsyncGenerator<Followed> {
    let cases: Case[] = []
    let bytes = 0
    for (const one of this.#due(settled, isDue)) {
      cases.push(one.case)
      bytes += one.bytes
      if (cases.length < BATCH_TRACES && bytes < BATCH_BYTES) continue
      yield* this.#judgeSome(cases)
      cases = []
      bytes = 0
    }
    if (cases.length > 0) yield* this.#judgeSome(cases)
    if (this.#untracedLeft === 0) return
    const why = `${this.#untracedLeft} spans that name no trace were not judged: more came at once than are held`
    this.#untracedLeft = 0
    yield found(finding('limit', why))
  }

  *#due(
    settled: Iterable<Settled<number>>,
    isDue: (at: number) => boolean,
  ): Generator<{ readonly case: Case; readonly bytes: number }> {
    for (const { key, items, early } of settled) {
      if (key === UNTRACED) yield* this.#untraced(items, early)
      else yield this.#traced(key, early, false)
    }
    for (const [key, at] of this.#wanting) {
      if (!isDue(at)) break
      this.#wanting.delete(key)
      if (this.#settling.get(key) === undefined) yield this.#traced(key, false, true)
    }
  }

  #traced(key: string, early: boolean, again: boolean): { readonly case: Case; readonly bytes: number } {
    const last = this.#last.get(idOf(key)) ?? NOWHERE
    const { spans, told, toldSpans, bytes } = this.#log.known(last)
    if (spans.length > this.#maxTraceSpans) this.#full.add(key)
    // Those that came first: what was judged of it before is judged each time.
    const lineage = { id: key, traceId: key, spans: spans.slice(0, this.#maxTraceSpans) }
    const full = this.#full.has(key)
    return {
      case: { id: key, lineage, early, told, toldSpans: spans.slice(0, toldSpans), full, again },
      bytes,
    }
  }

  /** What names no trace is judged by the links among what came together. */
  *#untraced(
    items: readonly number[],
    early: boolean,
  ): Generator<{ readonly case: Case; readonly bytes: number }> {
    const parts = this.#judge.split(items.map((at) => this.#log.span(at)))
    for (const [n, spans] of parts.entries()) {
      const id = `untraced ${n}`
      const lineage = { id, traceId: null, spans }
      const one = { id, lineage, early, told: null, toldSpans: [], full: false, again: false }
      yield { case: one, bytes: HELD_BYTES }
    }
  }

  async *#judgeSome(cases: readonly Case[]): AsyncGenerator<Followed> {
    const byId = new Map(cases.map((one) => [one.id, one]))
    const notes: AuditFinding[] = []
    const since = this.#now - this.#lookBackMs
    const unsought = new Set<string>()
    const source = {
      lineages: (only?: ReadonlyMap<string, unknown>) =>
        cases.filter(({ id }) => only?.has(id) ?? true).map(({ lineage }) => lineage),
      entries: (named: ReadonlySet<string>) => this.#log.entries(named, since, unsought),
      unsought,
    }
    for await (const { id, report, wanting } of this.#judge.judge(source, (one) => notes.push(one))) {
      const one = byId.get(id) as Case
      const trace = one.full ? asFull(traceJson(report), this.#maxTraceSpans) : traceJson(report)
      const verdict = this.#tell(one, trace)
      if (verdict !== null) this.#over.add(report, one.toldSpans, report.traceId !== null, this.#now)
      if (wanting && !one.again && report.traceId !== null && this.#wanting.size < MAX_WANTING)
        this.#wanting.set(id, this.#now + this.#maxAgeMs)
      if (verdict !== null) yield { verdict, finding: null }
    }
    for (const one of notes) yield found(one)
  }

  /** @returns `null` when it says nothing new */
  #tell({ early, told, lineage: { traceId } }: Case, trace: TraceJson): FollowedVerdict | null {
    const { verdict } = trace
    const digest = digestOf(trace)
    if (told !== null && told.digest === digest && told.early === early) return null
    const judgedAt = Date.now()
    if (traceId !== null) {
      const id = idOf(traceId)
      const last = this.#last.get(id) ?? NOWHERE
      this.#last.set(id, this.#log.addVerdict({ verdict, judgedAt, early, digest }, last))
    }
    this.#verdicts++
    const replaces = told === null ? null : { verdict: told.verdict, judged_at: told.judgedAt }
    return {
      ...trace,
      fleet: { format: 'kest-verdict-1', judged_at: judgedAt, early, partial: false, replaces },
    }
  }
}

function found(one: AuditFinding): Followed {
  return { verdict: null, finding: { ...one, key: null, withdrawn: false } }
}

function* standing(findings: readonly FollowedFinding[]): Generator<Followed> {
  for (const one of findings) yield { verdict: null, finding: one }
}

function folderIn(folder: string): string {
  try {
    return mkdtempSync(join(folder, 'kest-follow-'))
  } catch (cause) {
    throw new KestError('ERR_KEST_EVIDENCE', `temporary files: ${(cause as Error).message}`, { cause })
  }
}

/** Half as long as hex: there is one for each trace. */
function idOf(traceId: string): string {
  return Buffer.from(traceId, 'hex').toString('latin1')
}
