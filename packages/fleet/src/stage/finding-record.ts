import { findingJson, type StandingFinding, standingFinding } from '@kest/audit'
import type { NewRecord } from '../log/log.js'

/** A finding that is of no trace. Where it was read is a partition: `<topic>/<number>`. */
export type FleetFinding = StandingFinding

export const fleetFinding = standingFinding

/** As it is written. */
export function findingRecord(topic: string, one: FleetFinding, judgedAt: number): NewRecord {
  const { key, withdrawn } = one
  const value = { ...findingJson(one), key, judged_at: judgedAt, ...(withdrawn ? { withdrawn } : {}) }
  return { topic, key, value: Buffer.from(JSON.stringify(value)) }
}
