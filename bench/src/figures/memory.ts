import type { MemoryFigure } from '../figure.js'
import { createWorkload } from '../workload.js'

const ENTRIES = 10

/** Verified entries with their lineage, as a request holds them: parsed, frozen, with their own strings. */
export const memory: MemoryFigure = {
  group: 'memory',
  name: `a held passport of ${ENTRIES} entries`,
  unit: 'bytes',
  floor: 'its strings',
  async prepare() {
    const workload = createWorkload()
    const { passport } = await workload.chain(ENTRIES)
    const json = JSON.stringify(passport)
    return {
      floorBytes: json.length,
      make: () => workload.kest.resume({ passport: json }, {}),
    }
  },
}
