import {
  assertOptions,
  DEFAULT_LIMITS,
  IGNORABLE_FIELDS,
  type IgnorableField,
  KestConfigError,
  type PolicyRevision,
  parseRevision,
  type ReplayedDecision,
  type ReplayText,
} from '@kest/core'
import type { AuditedEntry, TraceReport } from '../judge/audited-entry.js'
import { compareRows, compareTexts } from '../row-order.js'
import { TallyRoom } from '../tally-room.js'
import { recordedTiers } from './recorded-policies.js'
import { type AskedContext, RecordedQuestions, type Withheld } from './recorded-questions.js'

export interface WhatIfOptions {
  /** The text that may come to decide. */
  readonly text: ReplayText
  /** Policies that it is asked for; what else operations asked stays as it is. Default: all that are on record. */
  readonly policies?: readonly string[]
  /** Parts of the context that caches of decisions withheld (`ignore`), a list for each of them. */
  readonly withheld?: readonly (readonly IgnorableField[])[]
  /** Entries that a passport may have. Default: that of `@kest/core`. */
  readonly maxEntries?: number
}

/** What a text would decide for one operation of what one policy allowed. Times are milliseconds. */
export interface WhatIfRow {
  readonly workload: string
  readonly operation: string
  readonly tier: string
  readonly policy: string
  /** How often it allowed, as entries have it. */
  readonly recorded: number
  readonly allowed: number
  readonly denied: number
  /** The text reads something beside itself and the question, such as the clock, or fails; or what was asked is not known. */
  readonly unknown: number
  /** Why it denied last, in the text's words. */
  readonly reason: string | null
  /** A trace in which it denied last; `null` where it did not, or the trace has no name. */
  readonly trace: string | null
  readonly first: number
  readonly last: number
}

export interface WhatIfReport {
  /** By workload, operation, tier and policy. */
  readonly rows: readonly WhatIfRow[]
  /** Operations of which one policy or more would deny. */
  readonly operationsDenied: number
  /** Operations looked at. */
  readonly operations: number
  readonly leftOut: number
  /** Entries of which nobody has shown who signed them: they count for nothing. */
  readonly unproven: number
}

type Row = { -readonly [Name in keyof WhatIfRow]: WhatIfRow[Name] }

/** Characters of a reason that are kept. */
const MAX_REASON = 200

/**
 * Which recorded operations a new text of policies would deny: what its author wants to know before it decides. Each operation that was allowed is
 * asked again, policy by policy, where what was asked can be rebuilt by its digest (K-CONTEXT). Operations that were denied are not signed,
 * and are not among them.
 *
 * Memory is bounded, for each workload and for all: what there is no room for is counted.
 *
 * @example
 * ```ts
 * const whatIf = new WhatIf({ text: await RegoReplay.load('new-bundle.tar.gz') })
 * for await (const report of audit.traces()) whatIf.add(report)
 * for (const { operation, policy, denied, reason } of whatIf.report().rows) console.log(operation, policy, denied, reason)
 * ```
 */
export class WhatIf {
  readonly #text: ReplayText
  readonly #by: PolicyRevision
  readonly #policies: ReadonlySet<string> | null
  readonly #withheld: readonly Withheld[]
  readonly #most: number
  readonly #room = new TallyRoom()
  readonly #rows = new Map<string, Row>()
  #operations = 0
  #denied = 0
  #leftOut = 0
  #unproven = 0

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: WhatIfOptions) {
    assertOptions('WhatIf', options, ['text', 'policies', 'withheld', 'maxEntries'])
    const { text, policies, withheld = [], maxEntries = DEFAULT_LIMITS.entries } = options
    const by = typeof text?.revision === 'string' ? parseRevision(text.revision) : undefined
    if (by === undefined || typeof text.replay !== 'function')
      throw new KestConfigError('WhatIf: text: expected a text that can be asked again')
    if (policies !== undefined && !isTexts(policies))
      throw new KestConfigError('WhatIf: policies: expected names')
    if (!Array.isArray(withheld) || !withheld.every((fields) => isTexts(fields) && fields.every(isField)))
      throw new KestConfigError(`WhatIf: withheld: expected lists of ${IGNORABLE_FIELDS.join(', ')}`)
    if (!Number.isSafeInteger(maxEntries) || maxEntries < 1)
      throw new KestConfigError('WhatIf: maxEntries: expected a positive integer')
    this.#text = text
    this.#by = by
    this.#policies = policies === undefined ? null : new Set(policies)
    this.#withheld = [new Set<IgnorableField>(), ...withheld.map((fields) => new Set<IgnorableField>(fields))]
    this.#most = maxEntries
  }

  add({ entries, traceId }: TraceReport): void {
    const questions = new RecordedQuestions(entries, this.#withheld, this.#most)
    for (const one of entries) {
      if (one.source === 'foreign' || one.outcomeOf !== null) continue
      if (one.status === 'failed') this.#unproven++
      else this.#ask(one, questions.of(one), traceId)
    }
  }

  report(): WhatIfReport {
    const rows = [...this.#rows.values()].map((row): WhatIfRow => Object.freeze({ ...row }))
    return Object.freeze({
      rows: Object.freeze(rows.sort(byName)),
      operations: this.#operations,
      operationsDenied: this.#denied,
      leftOut: this.#leftOut,
      unproven: this.#unproven,
    })
  }

  #ask(one: AuditedEntry, asked: AskedContext | string, traceId: string | null): void {
    const { principal: workload, entry, timestampMs: at, entryId } = one
    let denied = false
    let looked = false
    for (const { tier, allowed } of recordedTiers(entry)) {
      for (const policy of allowed) {
        if (this.#policies !== null && !this.#policies.has(policy)) continue
        looked = true
        const decision =
          typeof asked === 'string' ? null : this.#decide(entryId, policy, asked(tier, allowed))
        const isDenied = decision !== null && !decision.allow
        denied ||= isDenied
        const row = this.#rowOf({ workload, operation: entry.operation, tier, policy }, at)
        if (row === undefined) continue
        row.recorded++
        row.first = Math.min(row.first, at)
        row.last = Math.max(row.last, at)
        if (decision === null) row.unknown++
        else if (decision.allow) row.allowed++
        else {
          row.denied++
          row.reason = decision.reason?.slice(0, MAX_REASON) ?? null
          row.trace = traceId
        }
      }
    }
    if (looked) this.#operations++
    if (denied) this.#denied++
  }

  /** @returns `null` where nobody knows */
  #decide(entryId: string, policy: string, context: ReturnType<AskedContext>): ReplayedDecision | null {
    try {
      const decision = this.#text.replay({ entryId, policies: [policy], context }, this.#by)
      return decision.outside.length === 0 ? decision : null
    } catch {
      return null
    }
  }

  /** @returns `undefined` where there is no room for it */
  #rowOf(of: Pick<Row, 'workload' | 'operation' | 'tier' | 'policy'>, at: number): Row | undefined {
    const key = JSON.stringify(Object.values(of))
    const known = this.#rows.get(key)
    if (known !== undefined) return known
    if (!this.#room.take(of.workload, 1, key.length)) {
      this.#leftOut++
      return undefined
    }
    const counts = { recorded: 0, allowed: 0, denied: 0, unknown: 0 }
    const row: Row = { ...of, ...counts, reason: null, trace: null, first: at, last: at }
    this.#rows.set(key, row)
    return row
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function isField(value: string): boolean {
  return (IGNORABLE_FIELDS as readonly string[]).includes(value)
}

function byName(one: WhatIfRow, other: WhatIfRow): number {
  return compareRows(one, other) || compareTexts(one.policy, other.policy)
}
