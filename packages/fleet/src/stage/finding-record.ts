import { type AuditFinding, findingJson } from '@kest/audit'
import type { NewRecord } from '../log/log.js'

/** A finding that is of no trace. */
export interface FleetFinding extends AuditFinding {
  /** Whose it is: `process:<uuid>`, `entry:<entry_id>`, `workload:<principal>`, or a partition, `<topic>/<number>`. */
  readonly key: string
  /** Whether it was said before, and stands no more: a number that was missing has come. */
  readonly withdrawn: boolean
}

export function fleetFinding(one: AuditFinding, key: string, withdrawn = false): FleetFinding {
  return Object.freeze({ ...one, key, withdrawn })
}

/** As it is written. */
export function findingRecord(topic: string, one: FleetFinding, judgedAt: number): NewRecord {
  const { key, withdrawn } = one
  const value = { ...findingJson(one), key, judged_at: judgedAt, ...(withdrawn ? { withdrawn } : {}) }
  return { topic, key, value: Buffer.from(JSON.stringify(value)) }
}
