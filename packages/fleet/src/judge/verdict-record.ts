import type { TraceJson } from '@kest/audit'
import { countOf, type Ranges } from './positions.js'

/** Whom a record's header says to have all of a trace's spans up to an offset; `all`: no more are taken. */
export const COVERED_HEADER = 'kest-covered'
export const ALL = 'all'
/** The last millisecond that a date can say. */
const MAX_DATE = 8_640_000_000_000_000

/** A verdict as it is written: that of `kest audit --json`, and what a fleet knows of it. */
export interface VerdictRecord extends TraceJson {
  /** Entries that the record has no room for; they are in the log of spans. */
  readonly entries_omitted?: number
  readonly fleet: FleetPart
}

export interface FleetPart {
  readonly format: 'kest-verdict-1'
  /** Milliseconds since the epoch. */
  readonly judged_at: number
  /** Judged as it stood, because too much was open. */
  readonly early: boolean
  /** Not all of its spans could be read again: the graver verdict and all findings are kept. */
  readonly partial: boolean
  /** The verdict before; `null` for the first. */
  readonly replaces: { readonly verdict: TraceJson['verdict']; readonly judged_at: number } | null
  /** Where all of its spans are. */
  readonly positions: { readonly topic: string; readonly partition: number; readonly offsets: Ranges }
}

const GRAVITY: readonly TraceJson['verdict'][] = ['empty', 'verified', 'incomplete', 'broken']

/** Whether a trace is worse for it, whatever comes late: it is graver than `verified`, or something that it found is an error. */
export function isGrave({ verdict, findings }: TraceJson): boolean {
  const gravity = GRAVITY.indexOf(verdict)
  return gravity > GRAVITY.indexOf('verified') || findings.some(({ severity }) => severity === 'error')
}

/** What was judged of some of a trace's spans beside what was of others, which nobody can read any more (K-FLEET). */
export function mergePartial(judged: TraceJson, before: TraceJson): TraceJson {
  const has = new Set(judged.entries.map(({ hash }) => hash))
  const entries = [...before.entries.filter(({ hash }) => !has.has(hash)), ...judged.entries]
  const parents = new Set(entries.flatMap(({ parent_ids }) => parent_ids))
  const tips = entries.filter(({ status, hash }) => status !== 'failed' && !parents.has(hash))
  const found = new Map([...before.findings, ...judged.findings].map((one) => [keyOf(one), one]))
  const denied = new Map([...before.denials, ...judged.denials].map((one) => [JSON.stringify(one), one]))
  const gravest = Math.max(GRAVITY.indexOf(judged.verdict), GRAVITY.indexOf(before.verdict))
  const { denial_count: _ours, ...rest } = judged
  const counts = [judged, before].map(({ denials, denial_count }) => denial_count ?? denials.length)
  const count = Math.max(denied.size, ...counts)
  return {
    ...rest,
    verdict: GRAVITY[gravest] ?? judged.verdict,
    time: [judged, before].every(({ time }) => time === 'witnessed') ? 'witnessed' : 'self-asserted',
    tips: tips.map(({ hash }) => hash),
    entries: entries.map((one) =>
      one.tip === !parents.has(one.hash) ? one : { ...one, tip: !parents.has(one.hash) },
    ),
    denials: [...denied.values()],
    ...(count === denied.size ? {} : { denial_count: count }),
    findings: [...found.values()],
  }
}

function keyOf({ code, entry_hash, message }: TraceJson['findings'][number]): string {
  return JSON.stringify([code, entry_hash, message])
}

/** As bytes: no more than a record may be. What has no room is counted: entries first, then denials, then findings beyond one of a kind. */
export function encodeVerdict(record: VerdictRecord, maxBytes: number): Buffer {
  const whole = Buffer.from(JSON.stringify(record))
  if (whole.length <= maxBytes) return whole
  const { entries, denials, denial_count, findings } = record
  const without = { ...record, entries: [], entries_omitted: entries.length }
  const room = maxBytes - Buffer.byteLength(JSON.stringify(without)) - 64
  if (room > 0) {
    let bytes = 0
    const kept = entries.filter((one) => {
      bytes += Buffer.byteLength(JSON.stringify(one)) + 1
      return bytes <= room
    })
    return Buffer.from(
      JSON.stringify({ ...record, entries: kept, entries_omitted: entries.length - kept.length }),
    )
  }
  const ofKind = new Map<string, VerdictRecord['findings'][number]>()
  for (const one of findings) {
    const known = ofKind.get(one.code)
    const times = (known?.times ?? (known === undefined ? 0 : 1)) + (one.times ?? 1)
    ofKind.set(one.code, { ...(known ?? one), ...(times === 1 ? {} : { times }) })
  }
  const short = {
    ...without,
    denials: [],
    denial_count: denial_count ?? denials.length,
    findings: [...ofKind.values()],
  }
  return Buffer.from(JSON.stringify(short))
}

/** A record that was written so; `null` for what was not: whoever may write the topic writes what he likes. */
export function decodeVerdict(bytes: Buffer | null): VerdictRecord | null {
  if (bytes === null) return null
  try {
    const record = JSON.parse(bytes.toString('utf8')) as VerdictRecord
    return isOfTrace(record) && isOfFleet(record) ? record : null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null
    throw error
  }
}

/** As far as judging it again builds on. */
function isOfTrace({ verdict, entries, findings, denials, tips }: VerdictRecord): boolean {
  return (
    GRAVITY.includes(verdict) &&
    entries.every(
      ({ hash, signature, parent_ids }) =>
        typeof hash === 'string' && typeof signature === 'string' && parent_ids.every(isText),
    ) &&
    findings.every(({ code, message }) => isText(code) && isText(message)) &&
    denials.every((one) => typeof one === 'object' && one !== null) &&
    tips.every(isText)
  )
}

function isOfFleet({ fleet, entries_omitted: omitted = 1 }: VerdictRecord): boolean {
  const { format, judged_at, early, partial, replaces, positions } = fleet
  return (
    format === 'kest-verdict-1' &&
    isTime(judged_at) &&
    typeof early === 'boolean' &&
    typeof partial === 'boolean' &&
    (replaces === null || (isText(replaces.verdict) && isTime(replaces.judged_at))) &&
    isText(positions.topic) &&
    Number.isSafeInteger(positions.partition) &&
    positions.offsets.every(([from, to]) => isOffset(from) && isOffset(to) && from <= to) &&
    isOffset(countOf(positions.offsets)) &&
    isOffset(omitted) &&
    omitted > 0
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isTime(value: unknown): boolean {
  return isOffset(value) && value <= MAX_DATE
}
