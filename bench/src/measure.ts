import type { Figure } from './figure.js'
import { measureMemory } from './measure-memory.js'
import { measureTime } from './measure-time.js'
import type { Measurement, Plan } from './plan.js'

/** Measures one figure. */
export function measure(figure: Figure, plan: Plan): Promise<Measurement> {
  return figure.unit === 'µs' ? measureTime(figure, plan) : measureMemory(figure, plan)
}
