import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assertOptions, KestConfigError } from '@kest/core'
import type { AuditFinding, FindingCode, Severity } from './finding.js'
import { DiskRoom } from './group/disk-room.js'
import { lineageKey } from './group/lineage-key.js'
import type { Lineage } from './group/partition.js'
import { Spool } from './group/spool.js'
import { acrossTraces } from './judge/across-traces.js'
import type { TraceReport, Verdict } from './judge/audited-entry.js'
import { Beginnings } from './judge/beginnings.js'
import { EntryIds } from './judge/entry-ids.js'
import { judgeLineages, type LineageSource } from './judge/judge-lineages.js'
import {
  JUDGE_OPTIONS,
  type JudgeOptions,
  type JudgeRules,
  resolveJudgeOptions,
  rulesInForce,
  traceBytesOf,
} from './judge/options.js'
import { isSelected, type TraceSelection } from './judge/selection.js'
import { Sequences } from './judge/sequences.js'
import type { SpanSource } from './read/batch.js'
import { Roster, type RosterOptions } from './roster/roster.js'

/** Findings that are of no trace and that are kept of each severity, lest notes crowd out an error; the others are counted. */
const MAX_FINDINGS = 1_000
/** Half of what Node.js reads of a file at once. */
const MAX_MEMORY = 1_073_741_824

/** How an {@link Audit} is made. */
export interface AuditOptions extends JudgeOptions {
  /**
   * Bytes of spans that are held in memory; beyond, they lie in temporary files. The entries of one trace, without their passports, may
   * take eight times as much while it is judged; of a larger one the rest is a finding `limit`. Default 67,108,864;
   * at most 1,073,741,824.
   */
  readonly memory?: number
  /** Which workloads should have shown themselves (K-ROSTER); one that has not is a finding `silent`. Default: none is looked for. */
  readonly roster?: RosterOptions
  /** Folder for temporary files. Default: the system's. They hold what the spans hold, and are removed in the end. */
  readonly folder?: string
}

/** What an audit amounts to. */
export interface AuditSummary {
  /** Spans of Kest that were read. */
  readonly spans: number
  /** Spans of others, passed over. */
  readonly otherSpans: number
  readonly traces: number
  readonly verdicts: Readonly<Record<Verdict, number>>
  /** Entries, each once. */
  readonly entries: number
  readonly denials: number
  /** How often each finding was made, in traces and outside. Codes that were not are left out. */
  readonly findings: ReadonlyMap<FindingCode, number>
  /** Findings that are of no trace: of files, and of the numbering of processes. The first 1,000 of each severity. */
  readonly general: readonly AuditFinding[]
}

const KNOWN: ReadonlySet<string> = new Set<keyof AuditOptions>([
  ...JUDGE_OPTIONS,
  'memory',
  'folder',
  'roster',
])

/**
 * Proves lineage from spans: reads them all, rebuilds the lineage of each trace by the hash links of its entries, verifies
 * it against keys of the auditor's own, and says what does not hold, what is missing, and what contradicts itself
 * (K-AUDIT). Facts come from what is signed; everything else in a span is a claim, and only compared.
 *
 * Spans may come in any order, from any number of sources, and more than once. Memory is bounded: beyond `memory` they lie
 * in temporary files until their trace is judged.
 *
 * Does *not* notice what leaves no trace at all: that a process lost its last entries, or was never exported, or what a
 * workload chose not to record (K-DECLARED).
 *
 * @example
 * ```ts
 * await using audit = new Audit({ trust: [createKeySource(keys), createX509KeySource(bundles)] })
 * await audit.read(readFiles(['/var/lib/otelcol/spans.jsonl']))
 * for await (const { traceId, verdict, findings } of audit.traces()) console.log(traceId, verdict, findings)
 * console.log(audit.summary())
 * ```
 */
export class Audit {
  readonly #rules: JudgeRules
  readonly #spool: Spool
  readonly #room: DiskRoom
  readonly #sequences: Sequences
  readonly #denialNumbers: Sequences
  readonly #entryIds: EntryIds
  readonly #roster: Roster | null
  readonly #beginnings = new Beginnings()
  readonly #temporary: string
  readonly #general: AuditFinding[] = []
  readonly #kept: Record<Severity, number> = { error: 0, warning: 0, note: 0 }
  readonly #counts = new Map<FindingCode, number>()
  readonly #verdicts = { verified: 0, incomplete: 0, broken: 0, empty: 0 }
  #spans = 0
  #otherSpans = 0
  #entries = 0
  #denials = 0
  #judged = false
  #closed = false
  #folder: string | undefined

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: AuditOptions) {
    assertOptions('audit', options, KNOWN)
    const { memory, folder } = memoryOf(options)
    this.#rules = resolveJudgeOptions(options, traceBytesOf(memory))
    this.#temporary = folder
    this.#roster = options.roster === undefined ? null : new Roster(options.roster)
    this.#room = new DiskRoom(folder)
    const path = (name: string): string => join(this.#createFolder(), name)
    this.#spool = new Spool({ memory, path, limits: this.#rules.limits })
    this.#sequences = new Sequences(path, this.#rules)
    this.#denialNumbers = new Sequences(path, this.#rules, 'denial')
    this.#entryIds = new EntryIds(path)
  }

  /**
   * Reads all of a source. Several may be read, one after the other or at once.
   *
   * @param progress told of the bytes of each batch
   * @throws what the source throws
   * @throws {KestError} `ERR_KEST_CONFIG` when it was judged or closed meanwhile; `ERR_KEST_LIMIT` when temporary files would take more than half of what was free on their disk;
   *   `ERR_KEST_EVIDENCE` when they cannot be written
   */
  async read(source: SpanSource, progress?: (bytes: number) => void): Promise<void> {
    this.#assertReading()
    for await (const { spans, others, findings, bytes } of source) {
      this.#assertReading()
      this.#spans += spans.length
      this.#otherSpans += others
      for (const one of findings) this.#note(one)
      for (const span of spans) {
        const added = this.#spool.add({ key: lineageKey(span), span })
        if (added === undefined) continue
        await added
        this.#assertOpen()
        await this.#room.assertLeft()
      }
      progress?.(bytes)
    }
  }

  /**
   * Judges what was read, once: each trace, in no particular order.
   *
   * @throws {KestError} what key sources throw that is about no entry
   */
  async *traces(selection: TraceSelection = {}): AsyncGenerator<TraceReport> {
    assertOptions('audit.traces', selection, ['trace', 'since', 'service'])
    this.#assertReading()
    this.#judged = true
    const judged = judgeLineages(this.#source(selection), rulesInForce(this.#rules), (one) => this.#note(one))
    for await (const { report } of judged) {
      const whole = selection.trace === undefined ? this.#remember(report) : undefined
      if (whole !== undefined) await whole
      if (!isSelected(report, selection)) continue
      this.#countIn(report)
      yield report
    }
    // Of one trace nothing can be said about what its processes did else.
    if (this.#rules.verify.roots === undefined) for (const one of this.#beginnings.findings()) this.#note(one)
    for (const one of this.#rules.replay?.general() ?? []) this.#note(one)
    if (selection.trace !== undefined) return
    // Who is listed is the operator's choice: what others make of numbers and ids must not crowd it out.
    for (const one of this.#roster?.findings() ?? []) this.#note(one)
    for await (const one of this.#sequences.findings()) this.#note(one)
    for await (const one of this.#denialNumbers.findings()) this.#note(one)
    for await (const one of this.#entryIds.findings()) this.#note(one)
  }

  /** What came of it; whole when `traces()` has ended. */
  summary(): AuditSummary {
    return Object.freeze({
      spans: this.#spans,
      otherSpans: this.#otherSpans,
      traces: Object.values(this.#verdicts).reduce((sum, count) => sum + count, 0),
      verdicts: Object.freeze({ ...this.#verdicts }),
      entries: this.#entries,
      denials: this.#denials,
      findings: new Map(this.#counts),
      general: Object.freeze([...this.#general]),
    })
  }

  /** Removes temporary files: what is being read takes no more of them. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#spool.close()
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new KestConfigError('audit: it was closed; make another')
  }

  #assertReading(): void {
    this.#assertOpen()
    if (this.#judged) throw new KestConfigError('audit: it has been judged; make another')
  }

  #createFolder(): string {
    this.#assertOpen()
    this.#folder ??= mkdtempSync(join(this.#temporary, 'kest-audit-'))
    return this.#folder
  }

  #source({ trace }: TraceSelection): LineageSource {
    const selected = trace === undefined ? undefined : new Set([trace])
    const spool = this.#spool
    return {
      async *lineages(
        only: Pick<ReadonlySet<string>, 'has'> | undefined = selected,
      ): AsyncGenerator<Lineage> {
        // Delegating to it would have three promises made for each.
        for await (const partition of spool.partitions())
          for (const one of partition.lineages(only)) yield one
      },
      entries: () => spool.partitions(),
    }
  }

  #countIn(report: TraceReport): void {
    this.#verdicts[report.verdict]++
    this.#denials += report.denialCount
    this.#entries += report.entries.filter(({ source }) => source !== 'foreign').length
    for (const { code, times } of report.findings) this.#count(code, times)
    for (const one of report.entries) this.#beginnings.add(one)
  }

  /** @returns a promise when the next trace should wait for it */
  #remember(report: TraceReport): Promise<unknown> | undefined {
    const { numbers, ids, seen } = acrossTraces(report, this.#roster?.untilMs ?? Number.POSITIVE_INFINITY)
    for (const [principal, at] of seen) this.#roster?.see(principal, at)
    const written: Promise<void>[] = []
    for (const one of numbers) {
      const added = (one.what === 'entry' ? this.#sequences : this.#denialNumbers).add(one)
      if (added !== undefined) written.push(added)
    }
    for (const one of ids) {
      const added = this.#entryIds.add(report.traceId, one)
      if (added !== undefined) written.push(added)
    }
    return written.length === 0 ? undefined : Promise.all(written)
  }

  #note(one: AuditFinding): void {
    this.#count(one.code, one.times)
    const kept = this.#kept[one.severity]++
    if (kept < MAX_FINDINGS) this.#general.push(one)
  }

  #count(code: FindingCode, times: number): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + times)
  }
}

function memoryOf({ memory = 67_108_864, folder = tmpdir() }: AuditOptions): {
  memory: number
  folder: string
} {
  if (!Number.isSafeInteger(memory) || memory < 1 || memory > MAX_MEMORY)
    throw new KestConfigError(`audit: memory: expected bytes, from 1 to ${MAX_MEMORY}, got ${String(memory)}`)
  if (typeof folder !== 'string') throw new KestConfigError('audit: folder: expected a path')
  return { memory, folder }
}
