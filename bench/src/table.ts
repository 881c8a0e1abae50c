import type { Plan } from './plan.js'
import type { Environment, ReportedFigure } from './report.js'
import type { Spread } from './statistics.js'

const NAME_WIDTH = 50
const COLUMNS = [7, 15, 10, 10, 10] as const
const MIB = 1_048_576

/** What stands above the table. */
export function formatHeader(environment: Environment, { clock }: Plan): string {
  const { node, platform, cpu, parallelism, load } = environment
  return [
    `Node ${node} on ${platform}, ${parallelism} × ${cpu}, load ${load.toFixed(1)}, ${clock} time`,
    '',
    line('', ['ratio', 'p10 – p90', 'target', 'subject', 'floor']),
  ].join('\n')
}

/** A line of the table, with the group's name above the first of each. */
export function formatFigure(figure: ReportedFigure, previous: ReportedFigure | undefined): string {
  const { group, name, ratio, target, met, subject, floor, unit, floorIs } = figure
  const row = line(`  ${name}`, [
    ratio.median.toFixed(2),
    range(ratio),
    target === null ? '' : `≤ ${target} ${met ? '✓' : '✗'}`,
    amount(subject.median, unit),
    amount(floor.median, unit),
  ])
  return `${group === previous?.group ? '' : `${group}\n`}${row}   ${floorIs}`
}

function line(name: string, cells: readonly string[]): string {
  return name.padEnd(NAME_WIDTH) + cells.map((cell, i) => cell.padStart(COLUMNS[i] as number)).join('')
}

function range({ p10, p90 }: Spread): string {
  return `${p10.toFixed(2)} – ${p90.toFixed(2)}`
}

function amount(value: number, unit: 'µs' | 'bytes'): string {
  if (unit === 'bytes')
    return value < MIB ? `${(value / 1024).toFixed(1)} KiB` : `${(value / MIB).toFixed(1)} MiB`
  return `${value >= 1000 ? value.toFixed(0) : value.toFixed(1)} µs`
}
