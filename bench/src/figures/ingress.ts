import type { KeySource } from '@kest/core'
import type { TimeFigure } from '../figure.js'
import { BaggageManager } from '../internals.js'
import { createWorkload, rawVerify } from '../workload.js'

const ENTRIES = 3

/** From the header to the request's state: what an adapter waits for before anything else runs. */
function ingressFigure(name: string, remembered: boolean): TimeFigure {
  return {
    group: 'ingress',
    name,
    unit: 'µs',
    floor: `${ENTRIES} Ed25519 verifications, one thread`,
    async prepare() {
      const sender = createWorkload()
      const { passport, state } = await sender.chain(ENTRIES)
      const header = await new BaggageManager({ encoding: 'compressed' }).write(state.frame.lineage)
      const trust = new ChangingSource(sender.trust)
      const listener = createWorkload('Ed25519', { trust }).kest.listener()
      return {
        floor: rawVerify(sender, passport.entries),
        subject: () => {
          if (!remembered) trust.generation++
          return listener.receive({ headers: { baggage: header } })
        },
      }
    },
  }
}

/** What was remembered under an earlier generation counts for nothing. */
class ChangingSource implements KeySource {
  readonly name = 'changing'
  readonly kind = 'keys'
  generation = 0
  readonly #source: KeySource

  constructor(source: KeySource) {
    this.#source = source
  }

  find(query: Parameters<KeySource['find']>[0]): ReturnType<KeySource['find']> {
    return this.#source.find(query)
  }
}

export const ingressCold: TimeFigure = ingressFigure('receive 3 entries, none seen before', false)
export const ingressWarm: TimeFigure = ingressFigure('receive 3 entries, signatures remembered', true)
