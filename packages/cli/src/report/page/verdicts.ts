import type { Verdict } from '@kest/audit'
import { verdictWord } from '../../graph/verdict.js'
import type { ReportData } from '../tally/report-tally.js'
import { VERDICT_MEANINGS } from './meanings.js'
import { pageLink } from './page-link.js'
import { tableElement } from './table.js'
import { counted, number, share } from './text.js'

export const VERDICTS: readonly Verdict[] = ['verified', 'incomplete', 'broken', 'empty']

/** The worst of all, and what it is about. */
export function toneOf({ summary: { verdicts, traces } }: ReportData): 'good' | 'fair' | 'poor' {
  if (verdicts.broken > 0) return 'poor'
  return traces > 0 && verdicts.verified === traces ? 'good' : 'fair'
}

/** How many of each, as a bar and as a table. */
export function verdictSection(data: ReportData): string {
  const { verdicts, traces } = data.summary
  const rows = VERDICTS.filter((verdict) => verdicts[verdict] > 0).map((verdict) => ({
    cells: [
      `<span class="swatch ${verdict}"></span>${verdictWord(verdict)}<br><span class="meaning">${VERDICT_MEANINGS[verdict]}</span>`,
      number(verdicts[verdict]),
      share(verdicts[verdict], traces),
      (data.verdictPages.get(verdict) ?? []).map((page, i) => pageLink(page, `trace ${i + 1}`)).join(' '),
    ],
  }))
  const columns = [
    { title: 'Verdict' },
    { title: 'Traces', number: true },
    { title: 'Share', number: true },
    { title: 'Examples' },
  ]
  return `<section id="verdicts" aria-labelledby="h-verdicts"><h2 id="h-verdicts">Verdicts</h2>
${barElement(data)}
${tableElement('Traces by verdict', columns, rows)}</section>`
}

/** All traces side by side; none is too few to be seen. */
function barElement({ summary: { verdicts, traces } }: ReportData): string {
  if (traces === 0) return ''
  const all = VERDICTS.filter((verdict) => verdicts[verdict] > 0)
  const widths = all.map((verdict) => Math.max(12, (verdicts[verdict] / traces) * 1_000))
  const whole = widths.reduce((sum, one) => sum + one, 0)
  let x = 0
  const parts = all.map((verdict, i) => {
    const width = ((widths[i] as number) / whole) * 1_000
    const at = x
    x += width
    return `<rect class="part ${verdict}" x="${at.toFixed(1)}" width="${width.toFixed(1)}" height="20"/>`
  })
  const said = all.map((verdict) => `${counted(verdicts[verdict], 'trace')} ${verdictWord(verdict)}`)
  return `<svg class="bar" viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label="${said.join(', ')}">${parts.join('')}</svg>`
}
