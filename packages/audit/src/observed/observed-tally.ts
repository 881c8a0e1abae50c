import { assertOptions, KestConfigError } from '@kest/core'
import type { AuditSummary } from '../audit.js'
import type { FindingCode } from '../finding.js'
import type { AuditedEntry, TraceReport } from '../judge/audited-entry.js'
import { compareRows, compareTexts } from '../row-order.js'
import { TallyRoom } from '../tally-room.js'
import { type Called, callersOf } from './callers.js'
import { observedRecordOf } from './observed-label.js'
import { type ObservedRow, RowCount } from './observed-row.js'

const DAY_MS = 86_400_000
/** Findings by which records are missing or cannot be read. */
const MISSING: readonly FindingCode[] = [
  'malformed',
  'cut',
  'unsigned',
  'sequence-gap',
  'sequence-late',
  'sequence-shared',
  'receipt-without-span',
  'limit',
  'unreadable',
]
const KNOWN = ['days', 'now', 'service']

export interface ObservedOptions {
  /** For how many days of records nothing may have been refused of what is ready to be enforced. Default 7. */
  readonly days?: number
  /** The present, milliseconds since the epoch: what claims to be later counts as of now. Default: when it is made. */
  readonly now?: number
  /** Rows of this workload alone, by its principal or service. */
  readonly service?: string
}

/** What came of what was observed. */
export interface ObservedReport {
  readonly days: number
  /** The end of the records: the latest that is proven, not later than now. `null` where there is none. */
  readonly until: number | null
  /** By workload, operation, tier and policy. */
  readonly rows: readonly ObservedRow[]
  /** Records of operations and policies for which there was no room. */
  readonly leftOut: number
  /** Entries of which nobody has shown who signed them: they count for nothing. */
  readonly unproven: number
}

/**
 * What observing has shown (K-OBSERVE): by workload, operation and policy, how often it was asked, how often it would have been refused,
 * why and for whom, and where nothing was for days, so that it may be enforced.
 *
 * An allow counts only where the entry is `verified`. A refusal counts from whoever has signed it, also where what it builds on is missing:
 * a record that is not proven can make nothing ready, and one that nobody has shown to be signed counts for nothing. A workload is believed
 * about itself alone; what it chose not to record is not seen (K-DECLARED).
 *
 * Memory is bounded, for each workload and for all: what there is no room for is counted.
 *
 * @example
 * ```ts
 * const observed = new ObservedTally({ days: 14 })
 * for await (const report of audit.traces()) observed.add(report)
 * for (const { operation, policy, ready, why } of observed.report(audit.summary()).rows) console.log(operation, policy, ready, why)
 * ```
 */
export class ObservedTally {
  readonly #days: number
  readonly #now: number
  readonly #service: string | undefined
  /** Operations by their workload. */
  readonly #workloads = new Map<string, Map<string, Operation>>()
  readonly #room = new TallyRoom()
  #until: number | null = null
  /** Of the last entry that hangs on what is missing, or does not hold. */
  #lastHanging: number | null = null
  #leftOut = 0
  #unproven = 0

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: ObservedOptions = {}) {
    assertOptions('ObservedTally', options, KNOWN)
    const { days = 7, now = Date.now(), service } = options
    for (const [name, value] of Object.entries({ days, now })) {
      if (!Number.isSafeInteger(value) || value < 1)
        throw new KestConfigError(`ObservedTally: ${name}: expected a positive integer, got ${String(value)}`)
    }
    if (service !== undefined && typeof service !== 'string')
      throw new KestConfigError('ObservedTally: service: expected a principal, or a service')
    this.#days = days
    this.#now = now
    this.#service = service
  }

  add({ entries }: TraceReport): void {
    let called: ReadonlyMap<string, Called> | undefined
    for (const one of entries) {
      if (one.source === 'foreign' || one.outcomeOf !== null) continue
      if (one.status === 'failed') {
        this.#unproven++
        continue
      }
      const time = Math.min(one.timestampMs, this.#now)
      if (one.status === 'verified') this.#until = Math.max(this.#until ?? time, time)
      else this.#lastHanging = Math.max(this.#lastHanging ?? time, time)
      if (this.#service !== undefined && one.service !== this.#service && one.principal !== this.#service)
        continue
      called ??= callersOf(entries)
      this.#count(one, time, called.get(one.hash) as Called)
    }
  }

  /** @param summary of the audit whose reports were added, when its traces have ended: what it misses is ready for nothing */
  report({ findings }: Pick<AuditSummary, 'findings'>): ObservedReport {
    const until = this.#until ?? 0
    const from = until - this.#days * DAY_MS
    const hangs = this.#lastHanging !== null && this.#lastHanging > from
    const window = { from, until, missing: hangs || MISSING.some((code) => findings.has(code)) }
    const rows = [...this.#workloads].flatMap(([workload, operations]) =>
      [...operations].flatMap(([operation, { counts, lastLeftOut }]) =>
        [...counts.values()].map(({ tier, policy, count }) =>
          count.end({ workload, operation, tier, policy }, window, lastLeftOut),
        ),
      ),
    )
    return Object.freeze({
      days: this.#days,
      until: this.#until,
      rows: Object.freeze(rows.sort(byName)),
      leftOut: this.#leftOut,
      unproven: this.#unproven,
    })
  }

  #count(one: AuditedEntry, time: number, { by, directly }: Called): void {
    const { principal: workload, status, entry } = one
    const { items, more } = observedRecordOf(entry)
    const callers = by.length === 0 ? [null] : by
    const refused = new Set(items.map(({ tier, policy }) => keyOf(tier, policy)))
    for (const { tier, policy, code } of items) {
      const row = this.#rowOf(workload, entry.operation, tier, policy)
      row?.refuse(code, time, callers, (caller) => this.#room.take(workload, 0, caller.length))
      if (status === 'verified') row?.seen(time)
    }
    if (more) {
      const operation = this.#operationOf(workload, entry.operation)
      if (operation === undefined) this.#leftOut++
      else operation.lastLeftOut = Math.max(operation.lastLeftOut ?? time, time)
    }
    if (status !== 'verified') return
    const { policy_context: asked } = entry
    const tiers: readonly (readonly [string, readonly (string | null)[]])[] = [
      ['enterprise', asked.enterprise_policies],
      ['platform', asked.platform_policies],
      ['application', asked.app_policies],
      ['function', asked.function_policies],
      // Whom another called has had its lineage judged.
      ['lineage', directly ? [null] : []],
    ]
    for (const [tier, policies] of tiers) {
      for (const policy of new Set(policies)) {
        if (!refused.has(keyOf(tier, policy)))
          this.#rowOf(workload, entry.operation, tier, policy)?.allowed(time)
      }
    }
  }

  /** @returns `undefined` where there is no room for it */
  #rowOf(workload: string, name: string, tier: string, policy: string | null): RowCount | undefined {
    const operation = this.#operationOf(workload, name)
    const key = keyOf(tier, policy)
    const known = operation?.counts.get(key)
    if (known !== undefined) return known.count
    if (operation === undefined || !this.#room.take(workload, 1, key.length)) {
      this.#leftOut++
      return undefined
    }
    const count = new RowCount()
    operation.counts.set(key, { tier, policy, count })
    return count
  }

  #operationOf(workload: string, name: string): Operation | undefined {
    const known = this.#workloads.get(workload)?.get(name)
    if (known !== undefined) return known
    if (!this.#room.take(workload, 1, name.length)) return undefined
    const operation: Operation = { counts: new Map(), lastLeftOut: null }
    const operations = this.#workloads.get(workload) ?? new Map<string, Operation>()
    this.#workloads.set(workload, operations.set(name, operation))
    return operation
  }
}

interface Operation {
  readonly counts: Map<
    string,
    { readonly tier: string; readonly policy: string | null; readonly count: RowCount }
  >
  /** When an entry last had refusals that it does not list. */
  lastLeftOut: number | null
}

function keyOf(tier: string, policy: string | null): string {
  return JSON.stringify([tier, policy])
}

function byName(one: ObservedRow, other: ObservedRow): number {
  return compareRows(one, other) || compareTexts(one.policy ?? '', other.policy ?? '')
}
