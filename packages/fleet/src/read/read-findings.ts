import { finding, parseFindingJson } from '@kest/audit'
import { KestError } from '@kest/core'
import { KafkaLog } from '../log/kafka-log.js'
import type { Log, LogRecord } from '../log/log.js'
import { type FleetFinding, fleetFinding } from '../stage/finding-record.js'
import { lastRecords } from './last-records.js'
import { type ReadOptions, type ResolvedReadOptions, resolveReadOptions } from './read-options.js'
import { reading } from './read-verdicts.js'

/**
 * Reads `<prefix>-findings` once, up to what is there when it begins: what was found that is of no trace, and stands. What was withdrawn is
 * left out. As {@link readVerdicts}, otherwise.
 *
 * @throws {KestConfigError} at once for options that are unknown or wrong; while it is read, for a topic that is missing, and what the brokers do not allow
 * @throws {Error} `Unavailable` when no broker can be reached, or one goes away: then begin anew
 *
 * @example
 * ```ts
 * for await (const { key, code, message } of readFindings({ kafka: { brokers: ['kafka:9092'] }, onUnreadable: console.warn }))
 *   console.log(key, code, message)
 * ```
 */
export function readFindings(options: ReadOptions): AsyncGenerator<FleetFinding> {
  const resolved = resolveReadOptions('readFindings', options)
  return reading(new KafkaLog(resolved.kafka), (log) => findingsIn(log, resolved))
}

/** The same of any log. */
export async function* findingsIn(
  log: Log,
  { topics, unreadable }: Omit<ResolvedReadOptions, 'kafka' | 'limits'>,
): AsyncGenerator<FleetFinding> {
  const lost = (place: string, times: number): void =>
    unreadable(finding('unreadable', 'findings were gone before they were read', { place, times }))
  const read = { log, topic: topics.findings, keyOf, lost }
  for await (const { record, place } of lastRecords(read)) {
    const one = findingOf(record)
    if (one === null) unreadable(finding('unreadable', 'no finding of a fleet', { place }))
    else if (!one.withdrawn) yield one
  }
}

/** What stands is, of each key, code, message and place, what was written last. */
function keyOf(record: LogRecord): string | null {
  const one = findingOf(record)
  return one === null ? null : JSON.stringify([one.key, one.code, one.message, one.place])
}

/** @returns `null` for what is none */
function findingOf({ key, value }: LogRecord): FleetFinding | null {
  try {
    const written = JSON.parse(String(value)) as { key?: unknown; withdrawn?: unknown }
    const one = parseFindingJson(written)
    if (key === null || written.key !== key) return null
    return fleetFinding(one, key, written.withdrawn === true)
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof KestError) return null
    throw error
  }
}
