import type { Denial, TraceReport } from '@kest/audit'
import { bounded } from '../../bounded.js'
import { NameCount } from './counts.js'
import type { Examples } from './examples.js'

/** Anybody who can export spans makes them. */
const MAX_ROWS = 1_000
const MAX_TEXT = 300

/** Operations that were refused, by whom, which and why: as unsigned spans say. */
export interface DenialRow {
  readonly workload: string | null
  readonly operation: string
  readonly code: string
  times: number
  /** Whose entries they were to build on, by hash of what is signed. */
  readonly callers: NameCount
  readonly reasons: NameCount
  page: string | null
}

export class DenialTally {
  readonly #rows = new Map<string, DenialRow>()
  readonly #pages: Examples
  /** Of more kinds than are told apart, or more of a trace than the audit lists. */
  others = 0

  constructor(pages: Examples) {
    this.#pages = pages
  }

  add(report: TraceReport): void {
    const { denials, denialCount, entries } = report
    this.others += denialCount - denials.length
    if (denials.length === 0) return
    const signers = new Map(
      entries.flatMap(({ hash, status, principal }) => (status === 'failed' ? [] : [[hash, principal]])),
    )
    for (const denial of denials) {
      const row = this.#rowOf(denial)
      if (row === undefined) {
        this.others++
        continue
      }
      row.times++
      if (denial.reason !== null) row.reasons.add(bounded(denial.reason, MAX_TEXT))
      const callers = new Set(denial.parents.flatMap((parent) => signers.get(parent) ?? []))
      for (const caller of callers) row.callers.add(caller)
      row.page ??= this.#pages.take(report, 'call')
    }
  }

  /** The most frequent first. */
  get rows(): readonly DenialRow[] {
    return [...this.#rows.values()].sort((a, b) => b.times - a.times)
  }

  #rowOf({ workloadId, service, operation, code }: Denial): DenialRow | undefined {
    const names = [workloadId ?? service, operation ?? 'an operation', code ?? 'no code'].map((name) =>
      name === null ? null : bounded(name, MAX_TEXT),
    )
    const key = JSON.stringify(names)
    const known = this.#rows.get(key)
    if (known !== undefined || this.#rows.size >= MAX_ROWS) return known
    const [workload, of, why] = names as [string | null, string, string]
    const row: DenialRow = {
      workload,
      operation: of,
      code: why,
      times: 0,
      callers: new NameCount(),
      reasons: new NameCount(),
      page: null,
    }
    this.#rows.set(key, row)
    return row
  }
}
