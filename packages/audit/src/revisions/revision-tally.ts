import { assertOptions, KestConfigError, LABEL, parseRevision, parseRevisionsLabel } from '@kest/core'
import type { AuditedEntry, TraceReport } from '../judge/audited-entry.js'
import { recordedTiers } from '../replay/recorded-policies.js'
import { compareRows, compareTexts } from '../row-order.js'
import { TallyRoom } from '../tally-room.js'

export interface RevisionsOptions {
  /** Rows of this workload alone, by its principal or service. */
  readonly service?: string
}

/** Which text of its policies decided for an operation, in one tier, and when. Times are milliseconds, as entries state them. */
export interface RevisionRow {
  /** Who acts, and signs for all of this. */
  readonly workload: string
  readonly operation: string
  /** `enterprise`, `platform`, `application` or `function`. */
  readonly tier: string
  /** As the entries have it; `null` where they do not say. */
  readonly revision: string | null
  /** `digest`: no other text has it. `name`: its author chose it. `null`: nothing is said. */
  readonly kind: 'digest' | 'name' | null
  /** Entries that have it. */
  readonly decisions: number
  readonly first: number
  readonly last: number
}

/** Which texts have decided. */
export interface RevisionReport {
  /** By workload, operation and tier; of each, the text that came first is the first. */
  readonly rows: readonly RevisionRow[]
  /** Decisions of more operations and texts than there is room for. */
  readonly leftOut: number
  /** Entries of which nobody has shown who signed them: they count for nothing. */
  readonly unproven: number
}

type Row = { -readonly [Name in keyof RevisionRow]: RevisionRow[Name] }

/**
 * Which texts of policies decided what, when first and when last (K-REVISION): one that nobody reviewed, and that slipped in somewhere, is a row of
 * its own. A workload is believed about itself alone: it says which text it asked.
 *
 * Memory is bounded, for each workload and for all: what there is no room for is counted.
 *
 * @example
 * ```ts
 * const revisions = new RevisionTally()
 * for await (const report of audit.traces()) revisions.add(report)
 * for (const { operation, tier, revision, first, last } of revisions.report().rows) console.log(operation, tier, revision, first, last)
 * ```
 */
export class RevisionTally {
  readonly #service: string | undefined
  readonly #room = new TallyRoom()
  readonly #rows = new Map<string, Row>()
  #leftOut = 0
  #unproven = 0

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: RevisionsOptions = {}) {
    assertOptions('RevisionTally', options, ['service'])
    const { service } = options
    if (service !== undefined && typeof service !== 'string')
      throw new KestConfigError('RevisionTally: service: expected a principal, or a service')
    this.#service = service
  }

  add({ entries }: TraceReport): void {
    for (const one of entries) {
      if (one.source === 'foreign' || one.outcomeOf !== null) continue
      if (one.status === 'failed') this.#unproven++
      else if (this.#service === undefined || [one.service, one.principal].includes(this.#service))
        this.#count(one)
    }
  }

  report(): RevisionReport {
    const rows = [...this.#rows.values()].map((row): RevisionRow => Object.freeze({ ...row }))
    return Object.freeze({
      rows: Object.freeze(rows.sort(byName)),
      leftOut: this.#leftOut,
      unproven: this.#unproven,
    })
  }

  #count({ principal: workload, entry, timestampMs: at }: AuditedEntry): void {
    const label = entry.labels[LABEL.revisions]
    const said = label === undefined ? undefined : parseRevisionsLabel(label)
    const asked = recordedTiers(entry).map(({ tier }) => tier)
    for (const tier of new Set([...asked, ...(said?.keys() ?? [])])) {
      for (const revision of said?.get(tier) ?? [null]) {
        const { operation } = entry
        const row = this.#rowOf({ workload, operation, tier, revision }, at)
        if (row === undefined) continue
        row.decisions++
        row.first = Math.min(row.first, at)
        row.last = Math.max(row.last, at)
      }
    }
  }

  /** @returns `undefined` where there is no room for it */
  #rowOf(of: Pick<Row, 'workload' | 'operation' | 'tier' | 'revision'>, at: number): Row | undefined {
    const { workload, operation, tier, revision } = of
    const key = JSON.stringify([workload, operation, tier, revision])
    const known = this.#rows.get(key)
    if (known !== undefined) return known
    if (!this.#room.take(workload, 1, key.length)) {
      this.#leftOut++
      return undefined
    }
    const isDigest = revision === null ? null : parseRevision(revision)?.isDigest
    const kind = isDigest === null ? null : isDigest ? 'digest' : 'name'
    const row: Row = { workload, operation, tier, revision, kind, decisions: 0, first: at, last: at }
    this.#rows.set(key, row)
    return row
  }
}

function byName(one: RevisionRow, other: RevisionRow): number {
  return (
    compareRows(one, other) ||
    one.first - other.first ||
    compareTexts(one.revision ?? '', other.revision ?? '')
  )
}
