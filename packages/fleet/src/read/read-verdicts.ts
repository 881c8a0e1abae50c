import { finding, parseTraceJson, type TraceReport } from '@kest/audit'
import { KestError, type Limits } from '@kest/core'
import { decodeVerdict, type VerdictRecord } from '../judge/verdict-record.js'
import { KafkaLog } from '../log/kafka-log.js'
import type { Log, LogRecord } from '../log/log.js'
import { TRACE_ID, UNTRACED_KEY } from '../split/span-record.js'
import { lastRecords } from './last-records.js'
import { type ReadOptions, type ResolvedReadOptions, resolveReadOptions } from './read-options.js'

const LOST = 'verdicts were gone before they were read: newer ones came meanwhile, or retention took them'

/** A verdict that is in the topic of a fleet. */
export interface ReadVerdict {
  /** The trace id; of what names no trace `untraced:` and the hash of its first entry. */
  readonly key: string
  readonly record: VerdictRecord
  /**
   * The trace as it was judged, without a passport: nothing is verified here. What is signed in it is read from its signed texts. Where the
   * record has `entries_omitted`, these are not in it.
   */
  readonly report: TraceReport
}

/**
 * Reads `<prefix>-verdicts` once, up to what is there when it begins: of each trace the last verdict, in no order. It joins no group, and
 * commits and writes nothing. The topic is read twice, partition by partition, and some 80 bytes are kept for each key of one partition at a
 * time; nothing is kept of verdicts.
 *
 * Does *not* verify anything: verdicts are the word of whoever may write the topic. What of them contradicts itself, or the signed texts
 * that they have, is none of them.
 *
 * @throws {KestConfigError} at once for options that are unknown or wrong; while it is read, for a topic that is missing, and what the brokers do not allow
 * @throws {Error} `Unavailable` when no broker can be reached, or one goes away: then begin anew
 *
 * @example
 * ```ts
 * for await (const { report } of readVerdicts({ kafka: { brokers: ['kafka:9092'] }, onUnreadable: console.warn }))
 *   if (report.verdict !== 'verified') console.log(report.traceId, report.verdict)
 * ```
 */
export function readVerdicts(options: ReadOptions): AsyncGenerator<ReadVerdict> {
  const resolved = resolveReadOptions('readVerdicts', options)
  return reading(new KafkaLog(resolved.kafka), (log) => verdictsIn(log, resolved))
}

/** With a log of its own, which is closed when it ends, however it does. */
export async function* reading<T>(log: KafkaLog, read: (log: Log) => AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    yield* read(log)
  } finally {
    await log.close()
  }
}

/** The same of any log. */
export async function* verdictsIn(
  log: Log,
  { topics, limits, unreadable }: Omit<ResolvedReadOptions, 'kafka'>,
): AsyncGenerator<ReadVerdict> {
  const lost = (place: string, times: number): void =>
    unreadable(finding('unreadable', LOST, { place, times }))
  for await (const { record, place } of lastRecords({ log, topic: topics.verdicts, keyOf, lost })) {
    // Whoever may, has taken it away.
    if (record.value === null && keyOf(record) !== null) continue
    const read = verdictOf(record, limits)
    if ('why' in read) unreadable(finding('unreadable', `no verdict: ${read.why}`, { place }))
    else yield read
  }
}

function keyOf({ key }: LogRecord): string | null {
  return key !== null && (TRACE_ID.test(key) || key.startsWith(`${UNTRACED_KEY}:`)) ? key : null
}

/** What is there, or why it is none. */
function verdictOf(written: LogRecord, limits: Limits): ReadVerdict | { readonly why: string } {
  const key = keyOf(written)
  if (key === null) return { why: 'its key is that of no trace' }
  const record = decodeVerdict(written.value)
  if (record === null) return { why: 'it is not of the format kest-verdict-1' }
  try {
    const report = parseTraceJson(record, limits)
    const isOwn = report.traceId === (TRACE_ID.test(key) ? key : null)
    return isOwn ? { key, record, report } : { why: 'its key is that of another trace' }
  } catch (error) {
    if (!(error instanceof KestError)) throw error
    return { why: error.message }
  }
}
