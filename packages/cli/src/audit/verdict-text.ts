import type { AuditFinding, FindingCode, FindingJson, FollowedCounts, FollowedVerdict } from '@kest/audit'
import type { Colors } from '../terminal/colors.js'
import { visible } from '../terminal/escape.js'
import { findingLines } from './report-text.js'

/** Whether there is anything to say of a trace but that it holds. */
export function isRemarkable(
  { findings }: { readonly findings: readonly Pick<AuditFinding, 'code' | 'severity'>[] },
  failing: ReadonlySet<FindingCode>,
): boolean {
  return findings.some(({ code, severity }) => severity !== 'note' || failing.has(code))
}

/** A line for the trace, and one for each finding. */
export function verdictText(
  { trace_id, verdict, entries, findings, fleet }: FollowedVerdict,
  colors: Colors,
): string {
  const { early, partial, replaces } = fleet
  const beside = [
    `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`,
    ...(early ? ['early'] : []),
    ...(partial ? ['partial'] : []),
    ...(replaces === null ? [] : [`was ${replaces.verdict}`]),
  ]
  const name = trace_id === null ? 'entries without a trace' : `trace ${visible(trace_id)}`
  const color = verdict === 'verified' ? colors.green : verdict === 'broken' ? colors.red : colors.yellow
  const found = findingLines(findings.map(findingOf), colors).replace(/^(?=.)/gm, '  ')
  return `${colors.bold(name)}: ${color(verdict)} (${beside.join(', ')})\n${found}`
}

function findingOf({ entry_hash, times = 1, ...one }: FindingJson): AuditFinding {
  return { ...one, entryHash: entry_hash, times }
}

/** The last line, of what was read and said. */
export function countsJson({ spans, otherSpans, verdicts }: FollowedCounts): object {
  return { spans, other_spans: otherSpans, verdicts }
}

export function countsText({ spans, otherSpans, verdicts }: FollowedCounts): string {
  return `${verdicts} verdicts; ${spans} spans of Kest and ${otherSpans} of others were read\n`
}
