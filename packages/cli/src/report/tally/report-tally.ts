import type { AuditSummary, ObservedReport, TraceReport, Verdict } from '@kest/audit'
import { type DenialRow, DenialTally } from './denial-tally.js'
import { type Example, Examples } from './examples.js'
import { type FindingKind, FindingTally } from './finding-tally.js'
import { type Call, type Service, ServiceTally } from './service-tally.js'
import { type Timeline, TimelineTally } from './timeline.js'
import type { TopicOrigin } from './topic-origin.js'

/** Traces that stand for a verdict. */
const MAX_OF_VERDICT = 3

/** Entries by what holds of them. */
export interface Holding {
  readonly verified: number
  readonly signed: number
  readonly failed: number
}

/** What a report shows of an audit. */
export interface ReportData {
  readonly summary: AuditSummary
  readonly observed: ObservedReport
  /** When it was judged, or, of what was judged elsewhere, read; milliseconds since the epoch. */
  readonly judgedAt: number
  /** Where it was judged; `null`: here. */
  readonly origin: TopicOrigin | null
  readonly findings: readonly FindingKind[]
  readonly services: readonly Service[]
  readonly calls: readonly Call[]
  readonly leftOut: number
  readonly denials: readonly DenialRow[]
  readonly otherDenials: number
  readonly uncountedDenials: number
  readonly timeline: Timeline
  readonly holding: Holding
  readonly witnessed: number
  readonly verdictPages: ReadonlyMap<Verdict, readonly string[]>
  readonly examples: readonly Example[]
}

/** Collects what a report shows, trace by trace, in bounded memory. */
export class ReportTally {
  readonly #examples = new Examples()
  readonly #findings = new FindingTally(this.#examples)
  readonly #services = new ServiceTally(this.#examples)
  readonly #denials = new DenialTally(this.#examples)
  readonly #timeline: TimelineTally
  readonly #judgedAt: number
  readonly #holding = { verified: 0, signed: 0, failed: 0 }
  readonly #verdictPages = new Map<Verdict, string[]>()
  #witnessed = 0

  /** @param now milliseconds since the epoch */
  constructor(now: number) {
    this.#judgedAt = now
    this.#timeline = new TimelineTally(now)
  }

  /** @param whole whether all of its entries are there: else it is no example */
  add(report: TraceReport, whole: boolean): void {
    if (!whole) this.#examples.leaveOut(report)
    this.#findings.add(report)
    this.#services.add(report)
    this.#denials.add(report)
    this.#timeline.add(report)
    for (const { status, source } of report.entries) if (source !== 'foreign') this.#holding[status]++
    if (report.time === 'witnessed') this.#witnessed++
    const pages = this.#verdictPages.get(report.verdict) ?? []
    if (pages.length >= MAX_OF_VERDICT) return
    const page = this.#examples.take(report, 'verdict')
    if (page !== null) this.#verdictPages.set(report.verdict, [...pages, page])
  }

  /** Once all traces are there. */
  end(summary: AuditSummary, observed: ObservedReport, origin: TopicOrigin | null): ReportData {
    for (const { signed, workload, code, times, callers, policies } of this.#denials.rows) {
      if (workload === null) continue
      // Who signs that it refused is there, whether or not it has signed anything else.
      if (signed) this.#services.know(workload)
      this.#services.refuseAt(workload, times, 'refused')
      const why = policies.names[0]?.[0] ?? code
      for (const [caller, of] of callers.names) this.#services.refuse(caller, workload, of, why, 'refused')
    }
    this.#services.observe(observed.rows)
    return {
      summary,
      observed,
      judgedAt: this.#judgedAt,
      origin,
      findings: this.#findings.kinds(summary.general, summary.findings),
      services: this.#services.services,
      calls: this.#services.calls,
      leftOut: this.#services.leftOut,
      denials: this.#denials.rows,
      otherDenials: this.#denials.others,
      uncountedDenials: this.#denials.uncounted,
      timeline: this.#timeline.end(),
      holding: { ...this.#holding },
      witnessed: this.#witnessed,
      verdictPages: this.#verdictPages,
      examples: [...this.#examples.all()],
    }
  }
}
