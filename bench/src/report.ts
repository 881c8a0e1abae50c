import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Figure, Group } from './figure.js'
import type { Measurement, Plan } from './plan.js'

/** Value of `format` in what `--json` writes. */
export const REPORT_FORMAT = 'kest-bench-1'

/** What the figures were measured on. */
export interface Environment {
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly parallelism: number
  /** Processes that wanted a processor in the last minute, when the run began. */
  readonly load: number
}

/** A figure and what came of it. */
export interface ReportedFigure extends Measurement {
  readonly group: Group
  readonly name: string
  readonly floorIs: string
  readonly unit: Figure['unit']
  /** `null` where the figure only informs. */
  readonly target: number | null
  /** Whether the median ratio is at most the target. */
  readonly met: boolean | null
}

/** What `--json` writes. */
export interface Report {
  readonly format: typeof REPORT_FORMAT
  readonly environment: Environment
  readonly plan: Plan
  readonly figures: readonly ReportedFigure[]
}

export function environment(): Environment {
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    parallelism: availableParallelism(),
    load: loadavg()[0] ?? 0,
  }
}

export function reported(
  { group, name, floor, unit, target }: Figure,
  measurement: Measurement,
): ReportedFigure {
  const met = target === undefined ? null : measurement.ratio.median <= target
  return { group, name, floorIs: floor, unit, target: target ?? null, met, ...measurement }
}
