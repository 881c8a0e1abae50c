import type { MemoryFigure } from './figure.js'
import { memoryInUse } from './memory-in-use.js'
import type { Measurement, Plan } from './plan.js'
import { spreadOf } from './statistics.js'

/** So many are kept at once, that noise divides by it. */
const KEPT = 50
const MAX_ROUNDS = 9

/** What stays in memory after a collection. */
export async function measureMemory(figure: MemoryFigure, plan: Plan): Promise<Measurement> {
  const { floorBytes, make } = await figure.prepare()
  // Caches fill before anything counts.
  for (let i = 0; i < KEPT; i++) await make()
  const kept: object[] = []
  const sizes: number[] = []
  for (let round = 0; round < Math.min(plan.rounds, MAX_ROUNDS); round++) {
    const before = memoryInUse()
    for (let i = 0; i < KEPT; i++) kept.push(await make())
    sizes.push((memoryInUse() - before) / KEPT)
    kept.length = 0
  }
  return {
    ratio: spreadOf(sizes.map((size) => size / floorBytes)),
    subject: spreadOf(sizes),
    floor: spreadOf([floorBytes]),
  }
}
