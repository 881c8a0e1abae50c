import { type AuditSummary, ObservedTally, type TraceReport } from '@kest/audit'
import { reportHtml } from './html.js'
import { ReportTally } from './tally/report-tally.js'

/** The page of an audit, which grows with the kinds of what is there and not with how much of it there is. */
export class ReportPage {
  readonly #tally: ReportTally
  readonly #observed: ObservedTally

  constructor({ days, now = Date.now() }: { readonly days: number; readonly now?: number }) {
    this.#tally = new ReportTally(now)
    this.#observed = new ObservedTally({ days, now })
  }

  add(report: TraceReport): void {
    this.#tally.add(report)
    this.#observed.add(report)
  }

  /** Once, when all traces are there. */
  html(summary: AuditSummary): string {
    return reportHtml(this.#tally.end(summary, this.#observed.report(summary)))
  }
}
