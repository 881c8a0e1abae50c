import type { Figure } from './figure.js'
import { measureGrowth } from './measure-growth.js'
import { measureMemory } from './measure-memory.js'
import { measureTime } from './measure-time.js'
import type { Measurement, Plan } from './plan.js'

/** Measures one figure. */
export function measure(figure: Figure, plan: Plan): Promise<Measurement> {
  if (figure.unit === 'µs') return measureTime(figure, plan)
  return 'times' in figure ? measureGrowth(figure) : measureMemory(figure, plan)
}
