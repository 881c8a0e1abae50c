import { fork } from 'node:child_process'
import type { Figure } from './figure.js'
import type { Measurement, Plan } from './plan.js'

/** What a process is told to measure. */
export interface Task {
  readonly name: string
  readonly plan: Plan
}

/**
 * Measures one figure in a process of its own: what V8 has learnt of another, and what that one left in memory, makes
 * it neither faster nor slower.
 *
 * @throws {Error} when the process ends without an answer; it has said why
 */
export function measureApart({ name }: Figure, plan: Plan): Promise<Measurement> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('measure-child.js', import.meta.url))
    const task: Task = { name, plan }
    child.once('message', (measurement) => resolve(measurement as Measurement))
    child.once('error', reject)
    // Not by its exit, which may be seen before what it has said.
    child.once('disconnect', () => reject(new Error(`"${name}" could not be measured`)))
    child.send(task)
  })
}
