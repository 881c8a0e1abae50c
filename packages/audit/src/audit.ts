import { tmpdir } from 'node:os'
import { assertOptions, KestConfigError, SignatureCache } from '@kest/core'
import { type AuditFinding, type FindingCode, finding, type Severity } from './finding.js'
import { DiskRoom } from './group/disk-room.js'
import { findForeign, Named, withForeign } from './group/foreign.js'
import { lineageKey } from './group/lineage-key.js'
import type { TraceSpans } from './group/partition.js'
import { splitByLinks } from './group/split-by-links.js'
import { Spool, type SpoolOptions } from './group/spool.js'
import type { TraceReport, Verdict } from './judge/audited-entry.js'
import { Beginnings } from './judge/beginnings.js'
import { judgeTrace } from './judge/judge-trace.js'
import { draftLineage, type LineageDraft } from './judge/lineage-draft.js'
import { type JudgeOptions, type JudgeRules, resolveJudgeOptions } from './judge/options.js'
import { isSelected, type TraceSelection } from './judge/selection.js'
import { Sequences } from './judge/sequences.js'
import type { SpanSource } from './read/batch.js'
import type { ExportedSpan } from './span/exported-span.js'

/** Entries that are judged at once. Enough that the threads of the pool are woken seldom, few enough to be garbage soon. */
const IN_FLIGHT = 64
/** Findings that are of no trace and that are kept of each severity, lest notes crowd out an error; the others are counted. */
const MAX_FINDINGS = 1_000

/** How an {@link Audit} is made. */
export interface AuditOptions extends JudgeOptions {
  /** Bytes of spans that are held in memory; beyond, they lie in temporary files. Default 67,108,864. */
  readonly memory?: number
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
  'trust',
  'limits',
  'at',
  'raisers',
  'ceilings',
  'roots',
  'identityAuthorities',
  'maxDelayMs',
  'now',
  'memory',
  'folder',
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
  readonly #sequences = new Sequences()
  readonly #beginnings = new Beginnings()
  readonly #general: AuditFinding[] = []
  readonly #kept: Record<Severity, number> = { error: 0, warning: 0, note: 0 }
  readonly #counts = new Map<FindingCode, number>()
  readonly #verdicts = { verified: 0, incomplete: 0, broken: 0, empty: 0 }
  #spans = 0
  #otherSpans = 0
  #entries = 0
  #denials = 0
  #judged = false

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: AuditOptions) {
    assertOptions('audit', options, KNOWN)
    this.#rules = resolveJudgeOptions(options)
    const spooled = spoolOptions(options)
    this.#spool = new Spool(spooled)
    this.#room = new DiskRoom(spooled.folder)
  }

  /**
   * Reads all of a source. Several may be read, one after the other or at once.
   *
   * @param progress told of the bytes of each batch
   * @throws what the source throws
   * @throws {KestError} `ERR_KEST_LIMIT` when temporary files would take more than half of what was free on their disk;
   *   `ERR_KEST_EVIDENCE` when they cannot be written
   */
  async read(source: SpanSource, progress?: (bytes: number) => void): Promise<void> {
    this.#assertReading()
    for await (const { spans, others, findings, bytes } of source) {
      this.#spans += spans.length
      this.#otherSpans += others
      for (const one of findings) this.#note(one)
      for (const span of spans) {
        const added = this.#spool.add({ key: lineageKey(span), span })
        if (added === undefined) continue
        await added
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
    this.#assertReading()
    this.#judged = true
    const named = new Named()
    // What traces have of each other is verified once.
    const sharing = { ...this.#rules, verify: { ...this.#rules.verify, cache: new SignatureCache() } }
    yield* this.#judgeAll(this.#whole(selection, named, sharing), selection, this.#rules)
    if (named.more)
      this.#note(finding('limit', 'more entries of other traces are named than were looked for'))
    if (named.links.size > 0) yield* this.#judgeAll(this.#linked(named), selection, sharing)
    // Of one trace nothing can be said about what its processes did else.
    if (selection.trace === undefined) for (const one of this.#sequences.findings()) this.#note(one)
    if (this.#rules.verify.roots === undefined) for (const one of this.#beginnings.findings()) this.#note(one)
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

  /** Removes temporary files. Idempotent. */
  async close(): Promise<void> {
    await this.#spool.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #assertReading(): void {
    if (this.#judged) throw new KestConfigError('audit: it has been judged; make another')
  }

  /** Traces that name nothing of others. Those that do are judged when all entries are known. */
  async *#whole({ trace: only }: TraceSelection, named: Named, sharing: JudgeRules): AsyncGenerator<Drafted> {
    const selected = only === undefined ? undefined : new Set([only])
    for await (const partition of this.#spool.partitions()) {
      for (const trace of partition.traces(selected)) {
        const drafts = this.#lineages(trace).map((spans) =>
          draftLineage(trace.traceId, spans, [], this.#rules.limits),
        )
        const naming = drafts.some(({ wanted, claimed }) => wanted.size > 0 || claimed.size > 0)
        if (naming && (await named.add(trace.traceId, drafts, sharing))) continue
        for (const draft of drafts) yield { ...trace, draft }
      }
    }
  }

  async *#linked(named: Named): AsyncGenerator<Drafted> {
    const foreign = await findForeign(named, () => this.#spool.partitions(), this.#rules.limits)
    if (foreign.more)
      this.#note(finding('limit', 'lineages go on in more traces, one after the other, than were followed'))
    for await (const partition of this.#spool.partitions()) {
      for (const trace of partition.traces(named.links)) {
        const { traceId } = trace
        const links = named.links.get(traceId) as ReadonlySet<string>
        for (const spans of this.#lineages(trace))
          yield { ...trace, draft: withForeign(traceId, spans, links, foreign, this.#rules.limits) }
      }
    }
  }

  /** One, or several where no trace is named. */
  #lineages({ traceId, spans }: TraceSpans): readonly (readonly ExportedSpan[])[] {
    return traceId === null ? splitByLinks(spans, this.#rules.limits) : [spans]
  }

  async *#judgeAll(
    drafts: AsyncIterable<Drafted>,
    selection: TraceSelection,
    rules: JudgeRules,
  ): AsyncGenerator<TraceReport> {
    let running: Promise<TraceReport>[] = []
    for await (const drafted of chunks(drafts)) {
      // All at once: to wake the threads of the pool for each takes longer than what they then do.
      const begun = drafted.map(({ traceId, draft, dropped }) => judgeTrace(traceId, draft, dropped, rules))
      // Whoever leaves the loop early does not wait for them.
      for (const report of begun) report.catch(() => undefined)
      for (const report of running) yield* this.#counted(await report, selection)
      running = begun
    }
    for (const report of running) yield* this.#counted(await report, selection)
  }

  *#counted(report: TraceReport, selection: TraceSelection): Generator<TraceReport> {
    const selected = isSelected(report, selection)
    for (const { entry, hash, status, source } of report.entries) {
      const failed = status === 'failed'
      // One that failed makes up for a number only where it is seen that it failed.
      if (source === 'span' && (selected || !failed)) this.#sequences.add({ entry, hash, failed })
    }
    if (!selected) return
    this.#verdicts[report.verdict]++
    this.#denials += report.denials.length
    this.#entries += report.entries.filter(({ source }) => source !== 'foreign').length
    for (const { code } of report.findings) this.#count(code)
    for (const one of report.entries) this.#beginnings.add(one)
    yield report
  }

  #note(one: AuditFinding): void {
    this.#count(one.code)
    const kept = this.#kept[one.severity]++
    if (kept < MAX_FINDINGS) this.#general.push(one)
  }

  #count(code: FindingCode): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1)
  }
}

interface Drafted extends Pick<TraceSpans, 'traceId' | 'dropped'> {
  readonly draft: LineageDraft
}

async function* chunks(drafts: AsyncIterable<Drafted>): AsyncGenerator<Drafted[]> {
  let chunk: Drafted[] = []
  let entries = 0
  for await (const drafted of drafts) {
    chunk.push(drafted)
    entries += drafted.draft.nodes.size
    if (entries < IN_FLIGHT) continue
    yield chunk
    chunk = []
    entries = 0
  }
  if (chunk.length > 0) yield chunk
}

function spoolOptions({ memory = 67_108_864, folder = tmpdir() }: AuditOptions): SpoolOptions {
  if (!Number.isSafeInteger(memory) || memory < 1)
    throw new KestConfigError(`audit: memory: expected a positive number of bytes, got ${String(memory)}`)
  if (typeof folder !== 'string') throw new KestConfigError('audit: folder: expected a path')
  return { memory, folder }
}
