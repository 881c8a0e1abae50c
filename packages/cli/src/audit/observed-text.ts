import type { NotReady, ObservedReport, ObservedRow } from '@kest/audit'
import { cellOf, tableLines } from '../terminal/cells.js'
import type { Colors } from '../terminal/colors.js'
import { timeText } from '../terminal/time-text.js'

const HEAD = ['Policy', 'Asked', 'Refused', 'By', 'Called by', 'First', 'Last', 'Ready']
/** Callers of a row that are named. */
const MAX_NAMED = 3

const WHY: Readonly<Record<NotReady, string>> = {
  refused: 'no: refused',
  'not-asked': 'no: not asked each time',
  'left-out': 'no: more was refused than is listed',
  'too-few-days': 'no: too few days',
  'records-missing': 'no: records are missing',
}

/** What observing has shown, operation by operation. */
export function* observedText(report: ObservedReport, colors: Colors): Generator<string> {
  const { rows, days, until, leftOut, unproven } = report
  let from = 0
  while (from < rows.length) {
    const { workload, operation } = rows[from] as ObservedRow
    let to = from + 1
    while (rows[to]?.workload === workload && rows[to]?.operation === operation) to++
    const some = rows.slice(from, to)
    yield `${colors.bold(cellOf(operation))} of ${cellOf(workload)}\n`
    const [head, rule, ...lines] = tableLines([HEAD, ...some.map(cellsOf)])
    const marked = lines.map((line, index) => (some[index]?.ready ? colors.green : colors.yellow)(line))
    yield `${[head, rule, ...marked].map((line) => `  ${line}\n`).join('')}\n`
    from = to
  }
  const ready = rows.filter((row) => row.ready).length
  const end = until === null ? '' : `, as of ${timeText(until)}`
  yield `${ready} of ${rows.length} are ready to be enforced: nothing refused for ${days} days of records${end}\n`
  if (rows.some(({ why }) => why.includes('records-missing')))
    yield `${colors.red('nothing is ready where records are missing: see the findings')}\n`
  if (leftOut > 0)
    yield `${colors.yellow(`${leftOut} records of more operations and policies than there is room for`)}\n`
  if (unproven > 0)
    yield `${colors.yellow(`${unproven} entries that nobody has shown to be signed: they count for nothing`)}\n`
  yield '\n'
}

function cellsOf(row: ObservedRow): readonly string[] {
  const { tier, policy, asked, refused, notAsked, callers, otherCallers, first, last, why } = row
  const codes = [...refused].map(([code, count]) => `${count} ${code}`)
  const named = callers
    .slice(0, MAX_NAMED)
    .map(({ caller, refused: count }) => `${count} ${caller === null ? 'nobody known' : cellOf(caller)}`)
  const more = callers.slice(MAX_NAMED).reduce((sum, one) => sum + one.refused, otherCallers)
  return [
    cellOf(policy === null ? tier : `${tier}: ${policy}`),
    String(asked),
    String([...refused.values()].reduce((sum, count) => sum + count, 0)),
    [...codes, ...(notAsked > 0 ? [`${notAsked} not asked`] : [])].join(', '),
    [...named, ...(more > 0 ? [`${more} others`] : [])].join(', '),
    first === null ? '' : timeText(first),
    last === null ? '' : timeText(last),
    why[0] === undefined ? 'yes' : WHY[why[0]],
  ]
}
