import { escapeXml } from '../../graph/xml.js'
import type { ReportData } from '../tally/report-tally.js'
import type { TopicOrigin } from '../tally/topic-origin.js'
import { FINDING_MEANINGS, NOT_SEEN } from './meanings.js'
import { counted, number, share } from './text.js'

/** What is not proven and why, before anybody relies on what is; and what no audit sees. */
export function unprovenSection(data: ReportData): string {
  const { summary, holding, findings, witnessed, leftOut, observed, origin } = data
  const errors = findings.filter(({ severity }) => severity === 'error')
  const all = holding.verified + holding.signed + holding.failed
  const reasons = errors
    .toSorted((a, b) => b.traces - a.traces || b.times - a.times)
    .map(
      ({ code, traces, times }) =>
        `<li><a href="#finding-${code}"><code>${code}</code></a> <span class="dim">${traces === 0 ? counted(times, 'time') : `in ${counted(traces, 'trace')}`}</span><br>${escapeXml(FINDING_MEANINGS[code])}</li>`,
    )
  const entries = [
    ...(holding.failed > 0
      ? [
          `<li><b>${counted(holding.failed, 'entry', 'entries')}</b> (${share(holding.failed, all)}) of which nobody has shown who signed: nothing that they say is a fact.</li>`,
        ]
      : []),
    ...(holding.signed > 0
      ? [
          `<li><b>${counted(holding.signed, 'entry', 'entries')}</b> (${share(holding.signed, all)}) that their principals have signed, and that build on something that is missing or does not hold.</li>`,
        ]
      : []),
    ...(witnessed < summary.traces
      ? [
          `<li>The times in <b>${counted(summary.traces - witnessed, 'trace')}</b> are their signers’ word: no witness received all spans.</li>`,
        ]
      : []),
    ...(summary.denials > 0
      ? [
          `<li><b>${counted(summary.denials, 'denial')}</b> of which those that are not signed are a report, never evidence.</li>`,
        ]
      : []),
    ...(leftOut + observed.leftOut > 0
      ? [
          `<li>${number(leftOut + observed.leftOut)} records are of more workloads and operations than are told apart here.</li>`,
        ]
      : []),
  ]
  if (origin !== null) entries.push(...originLines(origin))
  const list =
    reasons.length === 0 ? '<p>No finding is an error.</p>' : `<ul class="list">${reasons.join('')}</ul>`
  const rest = entries.length === 0 ? '' : `<ul class="plain">${entries.join('')}</ul>`
  return `<section id="unproven" aria-labelledby="h-unproven"><h2 id="h-unproven">What is not proven, and why</h2>
${list}${rest}
<details><summary>What no audit sees</summary><ul class="plain">${NOT_SEEN.map((one) => `<li>${escapeXml(one)}</li>`).join('')}</ul></details></section>`
}

/** What auditors of a fleet say of their verdicts. */
function originLines({ early, partial }: TopicOrigin): string[] {
  return [
    '<li>All of this is the word of who wrote the verdicts: of <b>no</b> signature it was looked whether it holds.</li>',
    ...(early > 0
      ? [
          `<li><b>${counted(early, 'trace')}</b> ${early === 1 ? 'was' : 'were'} judged early, as more was open than there was memory for: what is missing there may have come.</li>`,
        ]
      : []),
    ...(partial > 0
      ? [
          `<li>Of <b>${counted(partial, 'trace')}</b> some spans were no longer kept when others came: the graver verdict stands.</li>`,
        ]
      : []),
  ]
}
