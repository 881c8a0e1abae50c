import type { TimeFigure } from '../figure.js'
import { BaggageManager, parseBaggage } from '../internals.js'
import { createWorkload, rawSign } from '../workload.js'

interface ReadCase {
  readonly name: string
  readonly entries: number
  readonly encoding: 'auto' | 'compressed'
  /** What is done with the header. */
  readonly read: (header: string) => unknown
}

function readFigure({ name, entries, encoding, read }: ReadCase): TimeFigure {
  return {
    group: 'propagate',
    name,
    unit: 'µs',
    floor: 'one Ed25519 signature',
    async prepare() {
      const workload = createWorkload()
      const { entry, state } = await workload.chain(entries)
      const writer = new BaggageManager({ encoding, maxMemberLength: 16_384, maxHeaderLength: 16_384 })
      const header = await writer.write(state.frame.lineage, 'region=eu-west-1,tenant=4711;ttl=60')
      if (header === undefined) throw new Error('the benchmark has no header to read')
      return { floor: rawSign(workload, entry.jws), subject: () => read(header) }
    },
  }
}

const manager = new BaggageManager()

export const baggageParse: TimeFigure = readFigure({
  name: 'take a header apart, 3 entries as JSON',
  entries: 3,
  encoding: 'auto',
  read: parseBaggage,
})
export const baggageReadJson: TimeFigure = readFigure({
  name: 'read a passport, 3 entries as JSON',
  entries: 3,
  encoding: 'auto',
  read: (header) => manager.read(header),
})
export const baggageReadCompressed: TimeFigure = readFigure({
  name: 'read a passport, 5 entries compressed',
  entries: 5,
  encoding: 'compressed',
  read: (header) => manager.read(header),
})
