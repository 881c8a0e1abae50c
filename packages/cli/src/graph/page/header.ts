import { bounded } from '../../bounded.js'
import type { LineageGraph } from '../lineage-graph.js'
import { statusMark } from '../status-mark.js'
import { CONSISTENT, meaningOf } from '../verdict.js'
import { escapeXml } from '../xml.js'

/** Characters of a finding: the list has all of it. */
const MAX_CAUSE = 240
const MARKS = { good: 'verified', fair: 'missing', poor: 'failed' } as const

/** The verdict first, what it means, and what there is. */
export function headerElement({ title, verdict, facts, findings }: LineageGraph): string {
  const { word, tone, meaning } = meaningOf(verdict)
  const items = facts.map(
    ([label, value, more = '']) =>
      `<div><dt>${label}</dt><dd><b>${escapeXml(value)}</b>${more === '' ? '' : ` (${escapeXml(more)})`}</dd></div>`,
  )
  return `<header class="${tone}">
<p class="verdict"><svg viewBox="0 0 16 16" aria-hidden="true">${statusMark(verdict === CONSISTENT ? 'consistent' : MARKS[tone])}</svg><strong>${escapeXml(word)}</strong></p>
<div class="about"><h1>${escapeXml(title)}</h1><p>${escapeXml(meaning)}${causeText(findings)}</p></div>
<dl class="facts">${items.join('')}</dl>
</header>`
}

/** The first of the gravest. */
function causeText(findings: LineageGraph['findings']): string {
  const errors = findings.filter(({ severity }) => severity === 'error')
  const [first] = errors
  if (first === undefined) return ''
  const more = errors.length === 1 ? '' : ` (and ${errors.length - 1} more)`
  return ` <strong>${escapeXml(first.code)}</strong>: ${escapeXml(bounded(first.text, MAX_CAUSE))}${more}`
}

export const TOOLS: string = `<div class="tools" role="toolbar" aria-label="Picture">
<label class="search"><span>Search</span><input id="search" type="search" autocomplete="off" spellcheck="false" placeholder="service, user, taint, hash …"><span id="found" role="status"></span></label>
<span class="buttons"><button type="button" id="out" aria-label="Zoom out">−</button><button type="button" id="in" aria-label="Zoom in">+</button><button type="button" id="fit">Whole picture</button><button type="button" id="theme">Colours: auto</button></span>
</div>`
