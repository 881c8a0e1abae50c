import { type Limits, resolveLimits } from '@kest/core'
import { type AuditFinding, FINDING_CODES, finding } from '../finding.js'
import type { AuditedEntry, TraceReport } from '../judge/audited-entry.js'
import { inOrder } from '../judge/order.js'
import type { Receipt } from '../judge/receipt.js'
import { JsonMembers } from './json-members.js'
import { parseDenialJson } from './parse-denial-json.js'
import { parseEntryJson } from './parse-entry-json.js'

const VERDICTS = ['verified', 'incomplete', 'broken', 'empty'] as const
const TIMES = ['witnessed', 'self-asserted'] as const
const TRACE_ID = /^[0-9a-f]{32}$/

/**
 * Reads a trace that {@link traceJson} wrote, such as the verdict of a fleet, which a stranger may have changed. Whatever is signed is read
 * from the signed texts of its entries and denials, and nothing of it from beside them; parents come before what builds on them. What is
 * not written is not there: `passport`, what a span calls its service, and what an unsigned denial was to build on.
 *
 * Does *not* verify anything: what holds of it, and what was found, is the word of whoever wrote it.
 *
 * @param limits of one entry, as it was judged by. Default: those of `@kest/core`
 * @throws {KestError} `ERR_KEST_EVIDENCE` for what was not written so, or contradicts itself
 *
 * @example
 * ```ts
 * const { verdict, entries, findings } = parseTraceJson(JSON.parse(line))
 * ```
 */
export function parseTraceJson(untrusted: unknown, limits?: Partial<Limits>): TraceReport {
  const bounds = resolveLimits(limits)
  const one = new JsonMembers(untrusted, 'a trace')
  const traceId = one.textOrNull('trace_id')
  if (traceId !== null && !TRACE_ID.test(traceId)) throw one.wrong('trace_id', 'an id, or null')
  const verdict = one.oneOf('verdict', VERDICTS)
  const entries = entriesIn(one, bounds)
  if (verdict === 'verified' && entries.some(({ status }) => status !== 'verified'))
    throw one.wrong('verdict', 'another, for not all of its entries are verified')
  const denials = Object.freeze(one.list('denials').map((denial) => parseDenialJson(denial, bounds)))
  return Object.freeze({
    traceId,
    verdict,
    time: one.oneOf('time', TIMES),
    entries,
    tips: one.hashes('tips'),
    passport: null,
    denials,
    denialCount: one.has('denial_count') ? one.count('denial_count', denials.length) : denials.length,
    receipts: Object.freeze(one.has('receipts') ? one.list('receipts').map(receiptIn) : []),
    findings: Object.freeze(one.list('findings').map(parseFindingJson)),
  } satisfies TraceReport)
}

/**
 * Reads a finding that {@link findingJson} wrote. How grave it is follows from its code.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` for what was not written so
 */
export function parseFindingJson(untrusted: unknown): AuditFinding {
  const one = new JsonMembers(untrusted, 'a finding')
  return finding(one.oneOf('code', FINDING_CODES), one.text('message'), {
    cause: one.errorCode('cause'),
    entryHash: one.textOrNull('entry_hash'),
    place: one.textOrNull('place'),
    times: one.has('times') ? one.count('times', 1) : 1,
  })
}

function entriesIn(one: JsonMembers, limits: Limits): readonly AuditedEntry[] {
  const entries = inOrder(one.list('entries').map((entry) => parseEntryJson(entry, limits)))
  if (new Set(entries.map(({ hash }) => hash)).size < entries.length)
    throw one.wrong('entries', 'each of them once')
  return Object.freeze(entries)
}

function receiptIn(untrusted: unknown): Receipt {
  const one = new JsonMembers(untrusted, 'a receipt')
  return Object.freeze({
    hash: one.hash('hash'),
    principal: one.text('principal'),
    operation: one.text('operation'),
    parents: one.texts('parent_ids'),
    timestampMs: one.count('timestamp_ms'),
    holder: one.textOrNull('holder'),
    namedBy: one.texts('named_by'),
    exported: one.flag('exported'),
    place: one.text('place'),
  } satisfies Receipt)
}
