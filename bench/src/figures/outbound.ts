import type { TimeFigure } from '../figure.js'
import { Frame, Lineage } from '../internals.js'
import { createWorkload, rawSign } from '../workload.js'

const TARGET = new URL('http://orders.svc.local:8000/orders/1')
const FOREIGN = 'region=eu-west-1,tenant=4711;ttl=60'

/** The header of an outgoing request. Each is the first of its lineage: fan-out would find it made. */
function outboundFigure(name: string, entries: number, encoding: 'auto' | 'compressed'): TimeFigure {
  return {
    group: 'propagate',
    name,
    unit: 'µs',
    floor: 'one Ed25519 signature',
    async prepare() {
      const workload = createWorkload('Ed25519', {
        propagation: { encoding, maxMemberLength: 16_384, maxHeaderLength: 16_384 },
      })
      const { entry, state } = await workload.chain(entries)
      const all = state.frame.lineage.entries()
      const tips = state.frame.lineage.tips
      const outbound = workload.kest.outbound({ propagateTo: [TARGET.origin] })
      return {
        floor: rawSign(workload, entry.jws),
        subject: () =>
          outbound.baggage(FOREIGN, TARGET, { ...state, frame: new Frame(Lineage.of(all, tips)) }),
      }
    },
  }
}

export const outboundJson: TimeFigure = outboundFigure('write a header, 3 entries as JSON', 3, 'auto')
export const outboundCompressed: TimeFigure = outboundFigure(
  'write a header, 5 entries compressed',
  5,
  'compressed',
)
