import { scaleLinear, scaleUtc } from 'd3-scale'
import { verdictWord } from '../../graph/verdict.js'
import { timeText } from '../../terminal/time-text.js'
import type { Bucket, Timeline } from '../tally/timeline.js'
import { counted, number } from './text.js'
import { VERDICTS } from './verdicts.js'

const LEFT = 46
const RIGHT = 12
const TOP = 10
const BARS = 150
/** Of what was denied, below. */
const STRIP = 26
const BOTTOM = 24
/** What is there can be seen. */
const LEAST = 2

/**
 * Traces by time, their verdicts upon each other, and what was denied below: scales and the times that are named are those of d3-scale.
 * Drawn for one width, so that texts have their size on every screen.
 */
export function chartElement({ columns, width: span }: Timeline, width: number, name: string): string {
  const [first, last] = [columns[0] as Bucket, columns.at(-1) as Bucket]
  const x = scaleUtc([first.at, last.at + span], [LEFT, width - RIGHT])
  const most = Math.max(1, ...columns.map(sizeOf))
  const y = scaleLinear([0, most], [TOP + BARS, TOP]).nice(4)
  const deniedMost = Math.max(1, ...columns.map(({ denials }) => denials))
  const height = TOP + BARS + STRIP + BOTTOM
  const ground = TOP + BARS
  const values = y
    .ticks(4)
    .filter((tick) => Number.isInteger(tick))
    .map(
      (tick) =>
        `<path class="grid" d="M${LEFT} ${round(y(tick))}H${width - RIGHT}"/><text x="${LEFT - 6}" y="${round(y(tick) + 4)}" text-anchor="end">${shortNumber(tick)}</text>`,
    )
  const times = x
    .ticks(Math.max(2, Math.floor((width - LEFT - RIGHT) / 90)))
    .filter((tick) => x(tick) >= LEFT + 14 && x(tick) <= width - RIGHT - 14)
    .map(
      (tick) =>
        `<text x="${round(x(tick))}" y="${height - 8}" text-anchor="middle">${tickText(tick)}</text><path class="grid" d="M${round(x(tick))} ${ground + STRIP}v5"/>`,
    )
  const bars = columns.map((column) => {
    const [left, right] = [x(column.at), x(column.at + span)]
    const wide = Math.max(1, (right - left) * 0.86)
    const at = round(left + (right - left - wide) / 2)
    let top = ground
    const parts = VERDICTS.flatMap((verdict) => {
      const count = column.verdicts[verdict]
      if (count === 0) return []
      const high = Math.max(LEAST, ground - y(count))
      top -= high
      return [
        `<rect class="part ${verdict}" x="${at}" y="${round(top)}" width="${round(wide)}" height="${round(high)}"/>`,
      ]
    })
    const denied =
      column.denials === 0
        ? ''
        : `<rect class="part denied" x="${at}" y="${ground + 4}" width="${round(wide)}" height="${round(Math.max(LEAST, (column.denials / deniedMost) * (STRIP - 6)))}"/>`
    if (parts.length === 0 && denied === '') return ''
    return `<g><title>${columnText(column)}</title>${parts.join('')}${denied}</g>`
  })
  return `<svg class="chart ${name}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Traces by time; the table below says the same">${values.join('')}${bars.join('')}<path class="axis" d="M${LEFT} ${ground}H${width - RIGHT}"/>${times.join('')}</svg>`
}

export function sizeOf({ verdicts }: Bucket): number {
  return VERDICTS.reduce((sum, verdict) => sum + verdicts[verdict], 0)
}

const DAY = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', timeZone: 'UTC' })

/** What differs between times that are named beside each other. */
function tickText(tick: Date): string {
  const [day, time] = tick.toISOString().split('T') as [string, string]
  if (time !== '00:00:00.000Z') return time.slice(0, time.startsWith(':00', 5) ? 5 : 8)
  return day.endsWith('-01-01') ? day.slice(0, 4) : DAY.format(tick)
}

function columnText(column: Bucket): string {
  const verdicts = VERDICTS.filter((verdict) => column.verdicts[verdict] > 0).map(
    (verdict) => `${number(column.verdicts[verdict])} ${verdictWord(verdict)}`,
  )
  const denied = column.denials === 0 ? [] : [`${number(column.denials)} denied`]
  return `${timeText(column.at)}: ${counted(sizeOf(column), 'trace')} (${[...verdicts, ...denied].join(', ')})`
}

const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

function shortNumber(value: number): string {
  return SHORT.format(value)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
