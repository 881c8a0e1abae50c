import { bounded } from '../bounded.js'
import { columnsOf, padColumns } from './columns.js'
import { visible } from './escape.js'

/** Characters of a cell that strangers write. */
const MAX_TEXT = 64

/** What is between cells, and what looks like it. */
const BARS = /[|\u01c0\u2223\u23d0\u23fd\u2502\u2503\u2758\uff5c\uffe8]/g

/** Strangers write it, as long as they like, and perhaps as if it were several cells. */
export function cellOf(text: string): string {
  const name = visible(text).replace(BARS, (bar) => `\\u{${bar.charCodeAt(0).toString(16)}}`)
  return name.length > MAX_TEXT ? `${bounded(name, MAX_TEXT - 1)}…` : name
}

/** Rows with their cells under each other; the first is the head, and has a rule below. */
export function tableLines(
  rows: readonly (readonly string[])[],
): [head: string, rule: string, ...body: string[]] {
  const widths = (rows[0] as readonly string[]).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, columnsOf(row[column] ?? '')), 0),
  )
  const lines = rows.map((row) =>
    row.map((cell, column) => padColumns(cell, widths[column] ?? 0)).join(' | '),
  )
  const [head, ...body] = lines as [string, ...string[]]
  return [head.trimEnd(), widths.map((width) => '-'.repeat(width)).join('-+-'), ...body]
}
