import type { Colors } from '../terminal/colors.js'
import { jsonLine, visible } from '../terminal/escape.js'
import type { Finding, Status } from './finding.js'
import { redacted } from './redact.js'

const MARKS: Readonly<Record<Status, string>> = { ok: '✓', warning: '!', failure: '✗', 'not-checked': '·' }
const WIDTH = 13

/** Lines for a terminal: each finding with its code, and what to do about it. */
export function reportText(findings: readonly Finding[], secrets: readonly string[], colors: Colors): string {
  const color: Readonly<Record<Status, (text: string) => string>> = {
    ok: colors.green,
    warning: colors.yellow,
    failure: colors.red,
    'not-checked': colors.dim,
  }
  const lines = findings.flatMap(({ check, status, code, message, remedy }) => {
    const said = visible(redacted(status === 'not-checked' ? `not checked: ${message}` : message, secrets))
    const first = `${color[status](MARKS[status])} ${check.padEnd(WIDTH)}${said}`
    if (status === 'ok') return [first]
    const indent = ' '.repeat(WIDTH + 2)
    return [`${first} ${colors.dim(`[${code}]`)}`, ...(remedy === null ? [] : [`${indent}${remedy}`])]
  })
  return `${lines.join('\n')}\n\n${summaryOf(findings)}\n`
}

/** A line of JSON for each finding, and one for how many there are of each status. */
export function reportJson(findings: readonly Finding[], secrets: readonly string[]): string {
  const lines = findings.map(({ check, status, code, message, remedy }) =>
    jsonLine({ check, status, code, message: redacted(message, secrets), remedy }),
  )
  return `${lines.join('')}${jsonLine({ summary: countsOf(findings) })}`
}

function summaryOf(findings: readonly Finding[]): string {
  const { ok, warning, failure, 'not-checked': unchecked } = countsOf(findings)
  return `${failure} failures, ${warning} warnings, ${ok} ok, ${unchecked} not checked`
}

function countsOf(findings: readonly Finding[]): Record<Status, number> {
  const counts: Record<Status, number> = { ok: 0, warning: 0, failure: 0, 'not-checked': 0 }
  for (const { status } of findings) counts[status]++
  return counts
}
