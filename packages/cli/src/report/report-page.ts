import { type AuditSummary, ObservedTally, type TraceReport } from '@kest/audit'
import { reportHtml } from './html.js'
import { ReportTally } from './tally/report-tally.js'
import type { TopicOrigin } from './tally/topic-origin.js'

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

  /** @param whole whether all of its entries are there: else it is no example */
  add(report: TraceReport, whole = true): void {
    this.#tally.add(report, whole)
    this.#observed.add(report)
  }

  /**
   * Once, when all traces are there.
   * @param origin where they were judged, if it was not here
   */
  html(summary: AuditSummary, origin: TopicOrigin | null = null): string {
    return reportHtml(this.#tally.end(summary, this.#observed.report(summary), origin))
  }
}
