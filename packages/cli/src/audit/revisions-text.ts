import type { RevisionReport, RevisionRow } from '@kest/audit'
import { cellOf, tableLines } from '../terminal/cells.js'
import type { Colors } from '../terminal/colors.js'
import { visible } from '../terminal/escape.js'
import { timeText } from '../terminal/time-text.js'

const HEAD = ['Tier', 'Decisions', 'First', 'Last', 'Text', 'Revision']

/** Which texts have decided, operation by operation. */
export function* revisionsText(report: RevisionReport, colors: Colors): Generator<string> {
  const { rows, leftOut, unproven } = report
  let from = 0
  while (from < rows.length) {
    const { workload, operation } = rows[from] as RevisionRow
    let to = from + 1
    while (rows[to]?.workload === workload && rows[to]?.operation === operation) to++
    yield `${colors.bold(cellOf(operation))} of ${cellOf(workload)}\n`
    const lines = tableLines([HEAD, ...rows.slice(from, to).map(cellsOf)])
    yield `${lines.map((line) => `  ${line.trimEnd()}\n`).join('')}\n`
    from = to
  }
  const texts = new Set(rows.flatMap(({ revision }) => revision ?? []))
  const named = [...rows].filter(({ kind }) => kind === 'name')
  yield `${texts.size} texts have decided${named.length === 0 ? '' : '; what is a name, its author chose: other texts may have had it'}\n`
  if (leftOut > 0)
    yield `${colors.yellow(`${leftOut} decisions of more operations and texts than there is room for`)}\n`
  if (unproven > 0)
    yield `${colors.yellow(`${unproven} entries that nobody has shown to be signed: they count for nothing`)}\n`
  yield '\n'
}

/** The revision is whole: two that begin alike are two. */
function cellsOf({ tier, decisions, first, last, kind, revision }: RevisionRow): readonly string[] {
  return [
    cellOf(tier),
    String(decisions),
    timeText(first),
    timeText(last),
    kind ?? 'not said',
    revision === null ? '' : visible(revision),
  ]
}
