import type { AuditFinding } from '../finding.js'

/** A finding that is of no trace, of an audit that goes on: it stands until it is withdrawn. */
export interface StandingFinding extends AuditFinding {
  /** Whose it is: `process:<uuid>`, `entry:<entry_id>`, `workload:<principal>`, or where it was read. */
  readonly key: string
  /** Whether it was said before, and stands no more: a number that was missing has come. */
  readonly withdrawn: boolean
}

export function standingFinding(one: AuditFinding, key: string, withdrawn = false): StandingFinding {
  return Object.freeze({ ...one, key, withdrawn })
}
