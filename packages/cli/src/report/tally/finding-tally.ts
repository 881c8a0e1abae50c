import { type AuditFinding, type FindingCode, severityOf, type TraceReport } from '@kest/audit'
import { bounded } from '../../bounded.js'
import type { Examples } from './examples.js'

/** Traces that are named for a kind of finding. */
const MAX_EXAMPLES = 5
const MAX_TEXT = 600

/** One finding of its kind. */
export interface FindingExample {
  readonly text: string
  readonly cause: string | null
  readonly place: string | null
  /** `undefined` of what is of no trace. */
  readonly traceId: string | null | undefined
  /** The id of the page of its trace, where the report has it. */
  readonly page: string | null
}

/** All findings of one kind. */
export interface FindingKind {
  readonly code: FindingCode
  readonly severity: AuditFinding['severity']
  readonly times: number
  /** In how many traces; of 0 it is of none. */
  readonly traces: number
  /** The first of the first traces. */
  readonly examples: readonly FindingExample[]
}

/** Findings by kind, with examples. */
export class FindingTally {
  readonly #kinds = new Map<FindingCode, { times: number; traces: number; examples: FindingExample[] }>()
  readonly #pages: Examples

  constructor(pages: Examples) {
    this.#pages = pages
  }

  add(report: TraceReport): void {
    const seen = new Set<FindingCode>()
    for (const one of report.findings) {
      const kind = this.#kindOf(one.code)
      kind.times += one.times
      if (seen.has(one.code)) continue
      seen.add(one.code)
      kind.traces++
      if (kind.examples.length >= MAX_EXAMPLES) continue
      kind.examples.push(exampleOf(one, report.traceId, this.#pages.take(report, 'finding')))
    }
  }

  /** @param general those that are of no trace, and `counts` of all, also of what is not listed */
  kinds(general: readonly AuditFinding[], counts: ReadonlyMap<FindingCode, number>): readonly FindingKind[] {
    for (const one of general) {
      const { examples } = this.#kindOf(one.code)
      if (examples.length < MAX_EXAMPLES) examples.push(exampleOf(one, undefined, null))
    }
    return [...this.#kinds].map(([code, { times, traces, examples }]) => ({
      code,
      severity: severityOf(code),
      times: Math.max(times, counts.get(code) ?? 0),
      traces,
      examples,
    }))
  }

  #kindOf(code: FindingCode): { times: number; traces: number; examples: FindingExample[] } {
    const known = this.#kinds.get(code)
    if (known !== undefined) return known
    const kind = { times: 0, traces: 0, examples: [] }
    this.#kinds.set(code, kind)
    return kind
  }
}

function exampleOf(
  { message, cause, place }: AuditFinding,
  traceId: FindingExample['traceId'],
  page: string | null,
): FindingExample {
  return {
    text: bounded(message, MAX_TEXT),
    cause,
    place: place === null ? null : bounded(place, MAX_TEXT),
    traceId,
    page,
  }
}
