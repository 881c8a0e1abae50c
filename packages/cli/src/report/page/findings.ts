import { escapeXml } from '../../graph/xml.js'
import type { FindingExample, FindingKind } from '../tally/finding-tally.js'
import type { ReportData } from '../tally/report-tally.js'
import { FINDING_MEANINGS } from './meanings.js'
import { traceText } from './page-link.js'
import { codeText, counted, isolated, number } from './text.js'

const GRAVITY = [
  ['error', 'Errors: something is not proven, or is missing'],
  ['warning', 'Warnings: what is proven is contradicted, or strange'],
  ['note', 'Notes: nothing is wrong'],
] as const

/** Every kind, the gravest and most frequent first, with examples that lead to their traces. */
export function findingSection({ findings }: ReportData): string {
  const groups = GRAVITY.flatMap(([severity, title]) => {
    const kinds = findings
      .filter((one) => one.severity === severity)
      .toSorted((a, b) => b.times - a.times || (a.code < b.code ? -1 : 1))
    if (kinds.length === 0) return []
    return [`<h3>${title}</h3>${kinds.map(kindElement).join('')}`]
  })
  return `<section id="findings" aria-labelledby="h-findings"><h2 id="h-findings">Findings</h2>
${groups.length === 0 ? '<p>Nothing was found.</p>' : groups.join('')}</section>`
}

function kindElement({ code, severity, times, traces, examples }: FindingKind): string {
  const where = traces === 0 ? 'of no trace' : `in ${counted(traces, 'trace')}`
  const more = Math.max(traces, times) - examples.length
  const rest =
    more > 0 && examples.length > 0
      ? `<p class="help">Of ${number(times)}, the first of the first traces.</p>`
      : ''
  return `<details id="finding-${code}" class="kind ${severity}"><summary><strong>${severity}</strong> <code>${code}</code> <span class="times">${counted(times, 'time')}</span> <span class="dim">${where}</span></summary>
<p>${escapeXml(FINDING_MEANINGS[code])}</p><ul class="list">${examples.map(exampleElement).join('')}</ul>${rest}</details>`
}

function exampleElement({ text, cause, place, traceId, page }: FindingExample): string {
  const parts = [
    traceText(traceId, page),
    cause === null ? '' : codeText(cause),
    place === null ? '' : `<span class="dim">${isolated(place)}</span>`,
  ].filter((part) => part !== '')
  return `<li>${isolated(text, 600)}${parts.length === 0 ? '' : `<br>${parts.join(' · ')}`}</li>`
}
