import type { ObservedRow } from '@kest/audit'
import { timeText } from '../../terminal/time-text.js'
import type { DenialRow } from '../tally/denial-tally.js'
import type { ReportData } from '../tally/report-tally.js'
import { Names } from './names.js'
import { pageLink } from './page-link.js'
import { MAX_ROWS, tableElement } from './table.js'
import { codeText, counted, isolated, number, safe } from './text.js'
import { namesText, nobody } from './values.js'

/** What did not run, and what would not have. */
export function refusedSection(data: ReportData): string {
  const names = new Names(data.services)
  return `<section id="refused" aria-labelledby="h-refused"><h2 id="h-refused">Refused</h2>
${signedDenials(data, names)}${unsignedDenials(data, names)}${observations(data, names)}</section>`
}

const COLUMNS = [
  { title: 'Workload' },
  { title: 'Operation' },
  { title: 'Code' },
  { title: 'Times', number: true },
  { title: 'Called by' },
] as const

function signedDenials({ denials: rows, uncountedDenials }: ReportData, names: Names): string {
  const heading = '<h3>Denied, as the workload has signed</h3>'
  const signed = rows.filter((row) => row.signed)
  const more =
    uncountedDenials === 0
      ? ''
      : `<p class="help">Beside them they count ${number(uncountedDenials)} that they did not sign, as they were too many at once.</p>`
  if (signed.length === 0) return `${heading}<p>Nothing.</p>`
  const columns = [...COLUMNS, { title: 'Policies' }, { title: 'Example' }]
  const cells = signed.map((row) => ({
    cells: [...denialCells(row, names), namesText(row.policies, 4), exampleText(row)],
  }))
  return `${heading}${more}${tableElement('Signed denials', columns, cells)}`
}

function unsignedDenials({ denials: rows, otherDenials }: ReportData, names: Names): string {
  const heading = '<h3>Denied, as unsigned spans say</h3>'
  const unsigned = rows.filter((row) => !row.signed)
  if (unsigned.length === 0 && otherDenials === 0) return `${heading}<p>Nothing.</p>`
  const columns = [...COLUMNS, { title: 'Reasons' }, { title: 'Example' }]
  const rest = Math.max(0, unsigned.length - MAX_ROWS) + otherDenials
  const cells = unsigned.map((row) => ({
    cells: [...denialCells(row, names), namesText(row.reasons, 2), exampleText(row)],
  }))
  return `${heading}<p class="help">A report, never evidence: whoever can export spans can write it.</p>
${tableElement('Denied operations', columns, cells, rest)}`
}

function denialCells({ workload, operation, code, times, callers }: DenialRow, names: Names): string[] {
  return [
    workload === null ? nobody() : isolated(names.of(workload)),
    isolated(operation),
    codeText(code),
    number(times),
    namesText(callers, 3, (name) => isolated(names.of(name))),
  ]
}

function exampleText({ page }: DenialRow): string {
  return page === null ? '' : pageLink(page, 'trace')
}

function observations({ observed: { rows, days, unproven } }: ReportData, names: Names): string {
  const heading = '<h3>Observed: what enforcing would refuse</h3>'
  const some = rows
    .map((row) => ({ row, times: timesOf(row) }))
    .filter(({ row, times }) => times + row.notAsked > 0)
    .sort((a, b) => b.times - a.times || b.row.notAsked - a.row.notAsked)
  const ready = rows.filter((row) => row.ready).length
  const counts = `<p class="help">Of ${counted(rows.length, 'row')} of a workload, operation and policy, ${number(ready)} ${ready === 1 ? 'is' : 'are'} ready to be enforced, by ${counted(days, 'day')} of records${unproven > 0 ? `; ${counted(unproven, 'entry', 'entries')} that nobody has shown to be signed count for nothing` : ''}.</p>`
  if (some.length === 0) return `${heading}<p>No proven record has a refusal.</p>${counts}`
  const columns = [
    { title: 'Workload' },
    { title: 'Operation' },
    { title: 'Policy' },
    { title: 'Asked', number: true },
    { title: 'Refused', number: true },
    { title: 'Not asked', number: true },
    { title: 'Why' },
    { title: 'Called by' },
    { title: 'Last' },
  ]
  return `${heading}${counts}${tableElement(
    'Refusals that were observed',
    columns,
    some.map((row) => observedRow(row, names)),
  )}`
}

function timesOf({ refused }: ObservedRow): number {
  return [...refused.values()].reduce((sum, one) => sum + one, 0)
}

function observedRow({ row, times }: { row: ObservedRow; times: number }, names: Names): { cells: string[] } {
  const { workload, operation, tier, policy, asked, refused, notAsked, callers, otherCallers, lastRefused } =
    row
  const by = callers
    .slice(0, 3)
    .map(
      ({ caller, refused: of }) => `${caller === null ? nobody() : isolated(names.of(caller))} ${number(of)}`,
    )
  const more = callers.length - by.length + otherCallers
  return {
    cells: [
      isolated(names.of(workload)),
      isolated(operation),
      `${policy === null ? '' : `${isolated(policy)} `}<span class="dim">${safe(tier)}</span>`,
      number(asked),
      number(times),
      number(notAsked),
      [...refused].map(([code, of]) => `${codeText(code)} ${number(of)}`).join('<br>'),
      [...by, ...(more > 0 ? [`${number(more)} more`] : [])].join('<br>'),
      lastRefused === null ? '' : safe(timeText(lastRefused)),
    ],
  }
}
