import {
  type AuditSummary,
  entryJson,
  findingJson,
  type ObservedReport,
  type ReplaySummary,
  type RevisionReport,
  type TraceReport,
  traceJson,
} from '@kest/audit'
import { jsonLine, jsonText } from '../terminal/escape.js'
import { observedSummary } from './observed-json.js'
import { replayJson } from './replay-text.js'
import { revisionsSummary } from './revisions-json.js'

/** Entries of one piece: a trace may have more than one text can hold. */
const PIECE = 1_000

/** One trace on one line, piece by piece. */
export function* reportJson(report: TraceReport): Generator<string> {
  const { trace_id, verdict, time, tips, entries: _none, ...tail } = traceJson(report, [])
  const { entries } = report
  yield `${jsonText({ trace_id, verdict, time, tips }).slice(0, -1)},"entries":[`
  for (let from = 0; from < entries.length; from += PIECE) {
    const some = jsonText(entries.slice(from, from + PIECE).map(entryJson))
    yield `${from === 0 ? '' : ','}${some.slice(1, -1)}`
  }
  yield `],${jsonText(tail).slice(1)}\n`
}

/** What an audit was asked for beside traces. */
export interface Beside {
  readonly observed?: ObservedReport | null
  readonly revisions?: RevisionReport | null
  readonly replay?: ReplaySummary | null
}

/** The last line. */
export function summaryJson(
  summary: AuditSummary,
  { observed = null, revisions = null, replay = null }: Beside = {},
): string {
  const { traces, verdicts, entries, spans, otherSpans, denials, findings, general } = summary
  return jsonLine({
    summary: {
      traces,
      verdicts,
      entries,
      denials,
      spans,
      other_spans: otherSpans,
      findings: Object.fromEntries(findings),
    },
    ...(observed === null ? {} : { observed: observedSummary(observed) }),
    ...(revisions === null ? {} : { revisions: revisionsSummary(revisions) }),
    ...(replay === null ? {} : { replay: replayJson(replay) }),
    findings: general.map(findingJson),
  })
}
