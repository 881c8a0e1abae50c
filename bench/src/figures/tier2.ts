import { deflateSync, inflateSync } from 'node:zlib'
import type { TimeFigure } from '../figure.js'
import { BaggageManager, Lineage } from '../internals.js'
import { createWorkload } from '../workload.js'

const ENTRIES = 10
const OPTIONS = { encoding: 'compressed', maxMemberLength: 16_384, maxHeaderLength: 16_384 } as const

/** A header with a compressed passport, written; each is the first of its lineage: fan-out would find it made. */
export const tier2Pack: TimeFigure = {
  group: 'propagate',
  name: `pack a passport, ${ENTRIES} entries`,
  unit: 'µs',
  floor: 'one raw deflate of the same bytes',
  target: 1.2,
  async prepare() {
    const { lineage, json } = await passportOf(ENTRIES)
    const all = lineage.entries()
    const { tips } = lineage
    const manager = new BaggageManager(OPTIONS)
    return {
      floor: () => deflateSync(json, { level: 9 }),
      subject: () => manager.write(Lineage.of(all, tips)),
    }
  },
}

/** The same header, read. Nothing of it is verified yet. */
export const tier2Unpack: TimeFigure = {
  group: 'propagate',
  name: `unpack a passport, ${ENTRIES} entries`,
  unit: 'µs',
  floor: 'one raw inflate of the same bytes, and JSON.parse',
  target: 1.3,
  async prepare() {
    const { lineage, json } = await passportOf(ENTRIES)
    const manager = new BaggageManager(OPTIONS)
    const header = await manager.write(lineage)
    if (header === undefined) throw new Error('the benchmark has no header to read')
    const deflated = deflateSync(json, { level: 9 })
    return {
      floor: () => JSON.parse(inflateSync(deflated).toString()),
      subject: () => manager.read(header),
    }
  },
}

async function passportOf(entries: number): Promise<{ readonly lineage: Lineage; readonly json: string }> {
  const { lineage } = (await createWorkload().chain(entries)).state.frame
  return { lineage, json: JSON.stringify(lineage.strings()) }
}
