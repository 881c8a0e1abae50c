import { type AuditSummary, ObservedTally, type TraceReport } from '@kest/audit'
import { reportHtml } from './html.js'
import { ReportTally } from './tally/report-tally.js'

/** The page of an audit, which grows with the kinds of what is there and not with how much of it there is. */
export class ReportPage {
  readonly #tally: ReportTally
  readonly #observed: ObservedTally

  /** @param service whose observed refusals alone it shows; default: everybody's */
  constructor({ days, service }: { readonly days: number; readonly service?: string | undefined }) {
    const now = Date.now()
    this.#tally = new ReportTally(now)
    this.#observed = new ObservedTally({ days, now, ...(service === undefined ? {} : { service }) })
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
