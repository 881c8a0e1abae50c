import {
  type AuditFinding,
  type AuditSummary,
  type FindingCode,
  finding,
  type Severity,
  type Verdict,
} from '@kest/audit'
import type { FleetFinding, ReadVerdict } from '@kest/fleet'
import { bounded } from '../bounded.js'
import type { TopicOrigin } from '../report/tally/topic-origin.js'

/** Of each severity, findings of no trace that are told apart: as of an audit. */
const MAX_FINDINGS = 1_000
/** Characters of each of their texts. */
const MAX_TEXT = 600

/** What the verdicts of a topic amount to, as an audit of the same spans would say it. */
export class VerdictTally {
  readonly #topic: string
  readonly #verdicts: Record<Verdict, number> = { verified: 0, incomplete: 0, broken: 0, empty: 0 }
  readonly #counts = new Map<FindingCode, number>()
  readonly #general: AuditFinding[] = []
  readonly #kept: Record<Severity, number> = { error: 0, warning: 0, note: 0 }
  #spans = 0
  #entries = 0
  #denials = 0
  #early = 0
  #partial = 0
  #firstMs = Number.POSITIVE_INFINITY
  #lastMs = Number.NEGATIVE_INFINITY
  /** Entries for which verdicts had no room, and of how many traces. */
  #omitted = { entries: 0, traces: 0 }

  constructor(topic: string) {
    this.#topic = topic
  }

  get traces(): number {
    return Object.values(this.#verdicts).reduce((sum, count) => sum + count, 0)
  }

  add({ record, report }: Pick<ReadVerdict, 'record' | 'report'>): void {
    const { fleet, entries_omitted: omitted = 0 } = record
    this.#verdicts[report.verdict]++
    this.#entries += omitted + report.entries.filter(({ source }) => source !== 'foreign').length
    this.#denials += report.denialCount
    for (const [from, to] of fleet.positions.offsets) this.#spans += to - from + 1
    for (const { code, times } of report.findings) this.#count(code, times)
    if (fleet.early) this.#early++
    if (fleet.partial) this.#partial++
    this.#firstMs = Math.min(this.#firstMs, fleet.judged_at)
    this.#lastMs = Math.max(this.#lastMs, fleet.judged_at)
    if (omitted === 0) return
    this.#omitted.entries += omitted
    this.#omitted.traces++
  }

  /** What is of no trace. */
  note(one: AuditFinding | FleetFinding): void {
    this.#count(one.code, one.times)
    if (this.#kept[one.severity]++ < MAX_FINDINGS) this.#general.push(keptOf(one))
  }

  /** Once, when all is there: what is left out of verdicts is a finding. */
  summary(): AuditSummary {
    const { entries, traces } = this.#omitted
    if (entries > 0)
      this.note(
        finding('limit', `the verdicts of ${traces} traces have no room for ${entries} of their entries`, {
          place: this.#topic,
        }),
      )
    return {
      spans: this.#spans,
      otherSpans: 0,
      traces: this.traces,
      verdicts: { ...this.#verdicts },
      entries: this.#entries,
      denials: this.#denials,
      findings: new Map(this.#counts),
      general: [...this.#general],
    }
  }

  get origin(): TopicOrigin {
    return {
      topic: this.#topic,
      firstMs: this.#firstMs,
      lastMs: this.#lastMs,
      early: this.#early,
      partial: this.#partial,
    }
  }

  #count(code: FindingCode, times: number): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + times)
  }
}

function keptOf({ code, message, cause, entryHash, place, times }: AuditFinding): AuditFinding {
  const short = (text: string | null): string | null => (text === null ? null : bounded(text, MAX_TEXT))
  return finding(code, bounded(message, MAX_TEXT), {
    cause,
    entryHash: short(entryHash),
    place: short(place),
    times,
  })
}
