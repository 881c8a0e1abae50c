import type { FindingCode } from '../finding.js'
import type { TraceReport } from './audited-entry.js'

/** Which traces are reported; all of these must be met. Default: every trace. */
export interface TraceSelection {
  /** That of this id alone. */
  readonly trace?: string
  /** Those with an entry of this time or later, milliseconds since the epoch; and those of which no time is a fact. */
  readonly since?: number
  /**
   * Those with an entry by this principal, or service: the path of its SPIFFE ID, in whatever trust domain; and those of which
   * it cannot be said, because a span of theirs has no entry that can be read.
   */
  readonly service?: string
}

const UNREAD: ReadonlySet<FindingCode> = new Set<FindingCode>(['malformed', 'unsigned', 'cut', 'limit'])

export function isSelected({ entries, findings }: TraceReport, { since, service }: TraceSelection): boolean {
  if (
    service !== undefined &&
    !entries.some((one) => one.service === service || one.principal === service) &&
    !findings.some(({ code }) => UNREAD.has(code))
  )
    return false
  const facts = entries.filter(({ status }) => status !== 'failed')
  return since === undefined || facts.length === 0 || facts.some(({ entry }) => entry.timestamp_ms >= since)
}
