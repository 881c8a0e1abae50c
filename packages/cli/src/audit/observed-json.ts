import type { ObservedReport, ObservedRow } from '@kest/audit'
import { jsonLine } from '../terminal/escape.js'

/** A line for each workload, operation and policy. */
export function* observedJson({ rows }: ObservedReport): Generator<string> {
  for (const row of rows) yield jsonLine(rowJson(row))
}

/** What all of it amounts to. */
export function observedSummary({ days, until, rows, leftOut, unproven }: ObservedReport): object {
  const ready = rows.filter((row) => row.ready).length
  return { days, until_ms: until, rows: rows.length, ready, left_out: leftOut, unproven }
}

function rowJson({ refused, callers, ...row }: ObservedRow): object {
  const { workload, operation, tier, policy, asked, notAsked, otherCallers, first, last, lastRefused } = row
  return {
    workload,
    operation,
    tier,
    policy,
    asked,
    refused: Object.fromEntries(refused),
    not_asked: notAsked,
    callers,
    other_callers: otherCallers,
    first_ms: first,
    last_ms: last,
    last_refused_ms: lastRefused,
    ready: row.ready,
    why: row.why,
  }
}
