import type { TraceReport } from '@kest/audit'
import { htmlOf } from '../../graph/html.js'
import { graphOf } from '../../graph/lineage-graph.js'
import { verdictWord } from '../../graph/verdict.js'

/** Entries and characters of one page, and characters of all that are kept for a reason: strangers make traces as large as they like. */
const MAX_ENTRIES = 120
const MAX_PAGE = 524_288
const ROOM = { finding: 8_388_608, call: 3_145_728, verdict: 1_048_576 } as const
/** Pages that are made for a reason, whether or not there is then room for them. */
const MAX_MADE = 250

/** Why a trace is looked at. Each has room of its own: a thousand calls crowd out no finding. */
export type ExampleReason = keyof typeof ROOM

/** A trace that can be opened in the report: the page that `kest graph` makes of it. */
export interface Example {
  readonly id: string
  readonly traceId: string | null
  readonly html: string
}

/** Traces that a report has whole, each once. */
export class Examples {
  readonly #pages = new Map<TraceReport | string, Example>()
  readonly #room: Record<ExampleReason, number> = { ...ROOM }
  readonly #made: Record<ExampleReason, number> = { finding: 0, call: 0, verdict: 0 }
  /** The one that was last looked at, and what came of it: a trace may be an example of several things. */
  #last: { readonly report: TraceReport; readonly page: string | null } | undefined

  /** @returns the id of its page; `null` where there is no room for it */
  take(report: TraceReport, reason: ExampleReason): string | null {
    const key = report.traceId ?? report
    const known = this.#pages.get(key)
    if (known !== undefined) return known.id
    const html = this.#page(report, reason)
    if (html === null || html.length > this.#room[reason]) return null
    this.#room[reason] -= html.length
    const id = `page-${this.#pages.size + 1}`
    this.#pages.set(key, { id, traceId: report.traceId, html })
    return id
  }

  /** Of the next report there is no page, whatever it is an example of. */
  leaveOut(report: TraceReport): void {
    this.#last = { report, page: null }
  }

  all(): Iterable<Example> {
    return this.#pages.values()
  }

  #page(report: TraceReport, reason: ExampleReason): string | null {
    if (this.#last?.report === report) return this.#last.page
    if (this.#made[reason] >= MAX_MADE || report.entries.length > MAX_ENTRIES) return null
    this.#made[reason]++
    const html = htmlOf(graphOf([report], verdictWord(report.verdict), true))
    const page = html.length <= MAX_PAGE ? html : null
    this.#last = { report, page }
    return page
  }
}
