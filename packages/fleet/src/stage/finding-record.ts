import { type AuditFinding, findingJson } from '@kest/audit'
import type { NewRecord } from '../log/log.js'

/** A finding that is of no trace, as it is written. @param key whose it is: a partition's, or a process's */
export function findingRecord(topic: string, key: string, one: AuditFinding, judgedAt: number): NewRecord {
  return { topic, key, value: Buffer.from(JSON.stringify({ ...findingJson(one), key, judged_at: judgedAt })) }
}
