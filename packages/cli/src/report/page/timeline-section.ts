import { verdictWord } from '../../graph/verdict.js'
import { timeText } from '../../terminal/time-text.js'
import type { ReportData } from '../tally/report-tally.js'
import { tableElement } from './table.js'
import { counted, number } from './text.js'
import { chartElement, sizeOf } from './timeline-chart.js'
import { VERDICTS } from './verdicts.js'

const WIDE = 1_000
const NARROW = 340

/** When it was, as the signers of first entries state it. */
export function timelineSection({ timeline }: ReportData): string {
  const { columns, width, earlier, later, untimed } = timeline
  const apart = [
    ...(earlier > 0 ? [`${counted(earlier, 'trace')} earlier`] : []),
    ...(later > 0 ? [`${counted(later, 'trace')} later`] : []),
    ...(untimed > 0
      ? [`${counted(untimed, 'trace')} without an entry that holds, and so without a time`]
      : []),
  ]
  const rest = apart.length === 0 ? '' : `<p class="help">Beside: ${apart.join('; ')}.</p>`
  const some = columns.filter((column) => sizeOf(column) > 0)
  const table = tableElement(
    'Traces by time',
    [
      { title: 'From (UTC)' },
      ...VERDICTS.map((verdict) => ({ title: verdictWord(verdict), number: true })),
      { title: 'Denied', number: true },
    ],
    some.map((column) => ({
      cells: [
        timeText(column.at).replace('.000Z', 'Z'),
        ...VERDICTS.map((verdict) => number(column.verdicts[verdict])),
        number(column.denials),
      ],
    })),
  )
  const legend = `<ul class="legend" aria-label="Legend">${VERDICTS.filter((verdict) =>
    some.some((one) => one.verdicts[verdict] > 0),
  )
    .map((verdict) => `<li><span class="swatch ${verdict}"></span>${verdictWord(verdict)}</li>`)
    .join('')}<li><span class="swatch denied"></span>denied, below the line</li></ul>`
  const body =
    columns.length === 0
      ? '<p>No trace has a time.</p>'
      : `<p class="help">By the time of the first entry of each trace, in columns of ${spanText(width)}, in UTC.</p>
${chartElement(timeline, WIDE, 'wide')}${chartElement(timeline, NARROW, 'narrow')}${legend}
<details><summary>As a table</summary>${table}</details>`
  return `<section id="timeline" aria-labelledby="h-timeline"><h2 id="h-timeline">Timeline</h2>
${body}${rest}</section>`
}

const UNITS = [
  [604_800_000, 'week'],
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
] as const

function spanText(width: number): string {
  const [unit, name] = UNITS.find(([one]) => width % one === 0) ?? [1, 'millisecond']
  return counted(width / unit, name)
}
