import type { Denial, TraceReport } from '@kest/audit'
import { bounded } from '../../bounded.js'
import { NameCount } from './counts.js'
import type { Examples } from './examples.js'

/** Of those that are signed, and of the others: whoever can export spans makes these, and crowds out none of those. */
const MAX_ROWS = 1_000
const MAX_TEXT = 300

/** Operations that were refused, by whom, which and why. */
export interface DenialRow {
  /** Whether their principal has signed it (K-DENIAL), or a span says so. */
  readonly signed: boolean
  readonly workload: string | null
  readonly operation: string
  readonly code: string
  times: number
  /** Whose entries they were to build on, by hash of what is signed. */
  readonly callers: NameCount
  readonly reasons: NameCount
  /** That did not allow; of unsigned ones nobody knows. */
  readonly policies: NameCount
  page: string | null
}

export class DenialTally {
  readonly #rows = { signed: new Map<string, DenialRow>(), unsigned: new Map<string, DenialRow>() }
  readonly #pages: Examples
  /** Of more kinds than are told apart, or more of a trace than the audit lists. */
  others = 0
  /** That those that are signed count, as they were too many to be signed. */
  uncounted = 0

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
      this.uncounted += denial.signed?.unsigned ?? 0
      for (const policy of denial.signed?.policies ?? []) row.policies.add(policy)
      if (denial.reason !== null) row.reasons.add(bounded(denial.reason, MAX_TEXT))
      const callers = new Set(denial.parents.flatMap((parent) => signers.get(parent) ?? []))
      for (const caller of callers) row.callers.add(caller)
      row.page ??= this.#pages.take(report, 'call')
    }
  }

  /** The most frequent first. */
  get rows(): readonly DenialRow[] {
    const all = [...this.#rows.signed.values(), ...this.#rows.unsigned.values()]
    return all.sort((a, b) => b.times - a.times)
  }

  #rowOf({ proof, workloadId, service, operation, code }: Denial): DenialRow | undefined {
    const rows = proof === 'signed' ? this.#rows.signed : this.#rows.unsigned
    const names = [workloadId ?? service, operation ?? 'an operation', code ?? 'no code'].map((name) =>
      name === null ? null : bounded(name, MAX_TEXT),
    )
    const key = JSON.stringify(names)
    const known = rows.get(key)
    if (known !== undefined || rows.size >= MAX_ROWS) return known
    const [workload, of, why] = names as [string | null, string, string]
    const row: DenialRow = {
      signed: proof === 'signed',
      workload,
      operation: of,
      code: why,
      times: 0,
      callers: new NameCount(),
      reasons: new NameCount(),
      policies: new NameCount(),
      page: null,
    }
    rows.set(key, row)
    return row
  }
}
