import { statusMark } from '../../graph/status-mark.js'
import { timeText } from '../../terminal/time-text.js'
import type { ReportData } from '../tally/report-tally.js'
import { codeText, counted, number, share } from './text.js'
import { toneOf } from './verdicts.js'

const SIGNS = { good: 'verified', fair: 'missing', poor: 'failed' } as const

/** All of it in a few words and figures, before anything else. */
export function reportHeader(data: ReportData): string {
  const { summary, services, findings } = data
  const { traces, verdicts, entries, denials } = summary
  const tone = toneOf(data)
  const errors = findings.reduce((sum, one) => (one.severity === 'error' ? sum + one.times : sum), 0)
  const facts = [
    ['Verified', `${share(verdicts.verified, traces)}`],
    ['Traces', number(traces)],
    ['Entries', number(entries)],
    ['Services', number(services.length)],
    ['Errors', number(errors)],
    ['Denials', number(denials)],
  ]
  return `<header class="${tone}">
<div class="top"><h1>${titleOf(data)}</h1>
<p class="verdict"><svg viewBox="0 0 16 16" aria-hidden="true">${statusMark(SIGNS[tone])}</svg>${wordOf(data, errors)}</p>
<button type="button" id="theme">Colours: auto</button></div>
${originText(data)}
<dl class="facts">${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>
</header>`
}

/** Who says it, and of what. */
function originText({ summary: { spans, otherSpans }, origin, judgedAt }: ReportData): string {
  if (origin === null) {
    const others = otherSpans === 0 ? '' : `, and passed over ${counted(otherSpans, 'span')} of others`
    return `<p>Judged ${timeText(judgedAt)}, from ${counted(spans, 'span')}${others}. Every fact here is from what is signed, unless it says otherwise.</p>`
  }
  const { topic, firstMs, lastMs } = origin
  return `<p>Read ${timeText(judgedAt)} from the topic ${codeText(topic)}: the last verdict on each trace, as auditors of a fleet wrote them between ${timeText(firstMs)} and ${timeText(lastMs)}, from ${counted(spans, 'span')}. <strong>Nothing was verified again</strong>: whoever may write that topic may have written anything of this.</p>`
}

export function titleOf({ summary: { traces } }: ReportData): string {
  return `Audit of ${counted(traces, 'trace')}`
}

function wordOf({ summary: { verdicts, traces } }: ReportData, errors: number): string {
  if (verdicts.broken > 0) return `${number(verdicts.broken)} broken`
  if (traces === 0) return 'nothing to judge'
  const rest = traces - verdicts.verified
  if (rest > 0) return `${number(rest)} not proven`
  return errors === 0 ? 'all verified' : `all verified, ${counted(errors, 'error')}`
}

const LINKS = [
  ['verdicts', 'Verdicts'],
  ['unproven', 'Not proven'],
  ['findings', 'Findings'],
  ['services', 'Services'],
  ['timeline', 'Timeline'],
  ['refused', 'Refused'],
] as const

export const NAVIGATION: string = `<nav aria-label="Sections"><ul>${LINKS.map(([id, name]) => `<li><a href="#${id}">${name}</a></li>`).join('')}<li class="filter"><label>Filter <input id="filter" type="search" autocomplete="off" spellcheck="false" placeholder="service, policy, finding …"></label><span id="found" role="status"></span></li></ul></nav>`
