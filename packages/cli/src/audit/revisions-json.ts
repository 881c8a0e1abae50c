import type { RevisionReport } from '@kest/audit'
import { jsonLine } from '../terminal/escape.js'

/** A line for each workload, operation, tier and text. */
export function* revisionsJson({ rows }: RevisionReport): Generator<string> {
  for (const { workload, operation, tier, revision, kind, decisions, first, last } of rows)
    yield jsonLine({ workload, operation, tier, revision, kind, decisions, first_ms: first, last_ms: last })
}

/** What all of it amounts to. */
export function revisionsSummary({ rows, leftOut, unproven }: RevisionReport): object {
  const texts = new Set(rows.flatMap(({ revision }) => revision ?? []))
  return { rows: rows.length, revisions: texts.size, left_out: leftOut, unproven }
}
