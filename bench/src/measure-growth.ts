import { setTimeout as delay } from 'node:timers/promises'
import type { GrowthFigure } from './figure.js'
import { memoryInUse } from './memory-in-use.js'
import type { Measurement } from './plan.js'
import { spreadOf } from './statistics.js'

/** Until then caches fill, and V8 learns. */
const FIRST = 1 / 10
const COLLECTIONS = 10

/** What is in use at the end, beside what was when the first tenth had been done. */
export async function measureGrowth({ times, prepare }: GrowthFigure): Promise<Measurement> {
  const { work } = await prepare()
  const first = times * FIRST
  for (let n = 0; n < first; n++) await work(n)
  const before = await settledMemory()
  for (let n = first; n < times; n++) await work(n)
  const after = await settledMemory()
  return { ratio: spreadOf([after / before]), subject: spreadOf([after]), floor: spreadOf([before]) }
}

/** Some things go only when others have gone, and not while the event loop is kept. */
async function settledMemory(): Promise<number> {
  for (let i = 0; i < COLLECTIONS; i++) {
    memoryInUse()
    await delay(1)
  }
  return memoryInUse()
}
