import { LABEL } from '@kest/core'
import type { AuditedEntry, TraceReport } from './audited-entry.js'
import { contentOf } from './fold-twins.js'
import type { NumberedKind } from './process-numbers.js'
import { numberIn } from './sequence-label.js'
import { CLOCK_SKEW_MS } from './time.js'

/** What a trace has that is compared with other traces. */
export interface AcrossTraces {
  readonly numbers: readonly AcrossNumber[]
  /** Exported entries, of each `entry_id` one: that a trace has two has been found there. */
  readonly ids: readonly AuditedEntry[]
  /**
   * When the last verified entry, or signed denial, of each principal was made, of those that are dated no later than it is looked (K-TIME
   * allows clocks a minute); milliseconds since the epoch.
   */
  readonly seen: ReadonlyMap<string, number>
}

/** A number that a process gave (K-AUDIT, K-DENIAL). */
export interface AcrossNumber {
  readonly what: NumberedKind
  readonly process: string
  readonly number: number
  readonly principal: string
  readonly timestampMs: number
  readonly hash: string
  readonly jws: string
  /** Whether it was exported; else only a passport has it. */
  readonly exported: boolean
}

/**
 * What of a trace is compared with other traces: of each entry and denial that holds by itself, once. Of one that does not, the number is
 * missing: nobody has shown whose it is, and anybody could fill a gap with it.
 *
 * @param lookedMs when it is looked who is there; milliseconds since the epoch
 */
export function acrossTraces(
  { entries, denials }: Pick<TraceReport, 'entries' | 'denials'>,
  lookedMs: number,
): AcrossTraces {
  const numbers: AcrossNumber[] = []
  const ids: AuditedEntry[] = []
  const last = new Map<string, number>()
  const see = (principal: string, at: number): void => {
    if (at <= lookedMs + CLOCK_SKEW_MS) last.set(principal, Math.max(last.get(principal) ?? at, at))
  }
  for (const { signed, workloadId } of denials) {
    if (signed === null) continue
    const { number: label, hash, jws, timestampMs } = signed
    const principal = workloadId as string
    see(principal, timestampMs)
    const numbered = numberIn(label)
    if (numbered !== null)
      numbers.push({ what: 'denial', ...numbered, principal, timestampMs, hash, jws, exported: true })
  }
  const seen = new Map<string, AuditedEntry>()
  for (const one of entries) {
    if (one.status === 'failed' || one.source === 'foreign') continue
    if (one.status === 'verified') see(one.principal, one.timestampMs)
    const other = seen.get(one.entryId)
    // Of twins that are both built on, one counts.
    if (other !== undefined && contentOf(other) === contentOf(one)) continue
    seen.set(one.entryId, one)
    const { hash, jws, principal, timestampMs } = one
    const exported = one.source === 'span'
    const numbered = numberIn(one.entry.labels[LABEL.seq])
    if (numbered !== null)
      numbers.push({ what: 'entry', ...numbered, principal, timestampMs, hash, jws, exported })
    if (exported && other === undefined) ids.push(one)
  }
  return { numbers, ids, seen: last }
}
