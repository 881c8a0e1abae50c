import type { WhatIfReport, WhatIfRow } from '@kest/audit'
import { cellOf, tableLines } from '../terminal/cells.js'
import type { Colors } from '../terminal/colors.js'
import { jsonLine } from '../terminal/escape.js'

const HEAD = ['Policy', 'Recorded', 'Would deny', 'Unknown', 'Reason', 'Trace']

/** What a text would deny, operation by operation. */
export function* whatIfText(report: WhatIfReport, colors: Colors): Generator<string> {
  const { rows, operations, operationsDenied, leftOut, unproven } = report
  let from = 0
  while (from < rows.length) {
    const { workload, operation } = rows[from] as WhatIfRow
    let to = from + 1
    while (rows[to]?.workload === workload && rows[to]?.operation === operation) to++
    const some = rows.slice(from, to)
    yield `${colors.bold(cellOf(operation))} of ${cellOf(workload)}\n`
    const [head, rule, ...lines] = tableLines([HEAD, ...some.map(cellsOf)])
    const marked = lines.map((line, index) => {
      const { denied, unknown } = some[index] as WhatIfRow
      return denied > 0
        ? colors.red(line.trimEnd())
        : unknown > 0
          ? colors.yellow(line.trimEnd())
          : line.trimEnd()
    })
    yield `${[head, rule, ...marked].map((line) => `  ${line}\n`).join('')}\n`
    from = to
  }
  const denials = `${operationsDenied} of ${operations} recorded operations would be denied`
  yield `${operationsDenied > 0 ? colors.red(denials) : denials}\n`
  const unknown = rows.reduce((sum, row) => sum + row.unknown, 0)
  if (unknown > 0)
    yield `${colors.yellow(`${unknown} decisions are not known: what was asked cannot be rebuilt, or the text reads the clock or something else outside`)}\n`
  if (leftOut > 0)
    yield `${colors.yellow(`${leftOut} decisions of more operations and policies than there is room for`)}\n`
  if (unproven > 0)
    yield `${colors.yellow(`${unproven} entries that nobody has shown to be signed: they count for nothing`)}\n`
}

export function* whatIfJson({ rows, ...summary }: WhatIfReport): Generator<string> {
  for (const { first, last, ...row } of rows) yield jsonLine({ ...row, first_ms: first, last_ms: last })
  const { operations, operationsDenied, leftOut, unproven } = summary
  yield jsonLine({
    summary: { operations, operations_denied: operationsDenied, left_out: leftOut, unproven },
  })
}

function cellsOf({ tier, policy, recorded, denied, unknown, reason, trace }: WhatIfRow): readonly string[] {
  return [
    cellOf(`${tier}: ${policy}`),
    String(recorded),
    String(denied),
    String(unknown),
    cellOf(reason ?? ''),
    trace ?? '',
  ]
}
