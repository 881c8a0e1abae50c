import { verifyPassport } from '@kest/core'
import type { TimeFigure } from '../figure.js'
import { createWorkload, type KeyKind, rawVerify } from '../workload.js'

interface VerifyCase {
  readonly name: string
  readonly entries: number
  readonly threads: 'inline' | 'pool' | 'auto'
  readonly kind?: KeyKind
  readonly target?: number
}

/** A passport whose strings are there, without a cache: every signature is computed. */
function verifyFigure({ name, entries, threads, kind = 'Ed25519', target }: VerifyCase): TimeFigure {
  return {
    group: 'verify',
    name,
    unit: 'µs',
    floor: entries === 1 ? `one ${kind} verification` : `${entries} ${kind} verifications, one thread`,
    ...(target === undefined ? {} : { target }),
    async prepare() {
      const workload = createWorkload(kind)
      const { passport } = await workload.chain(entries)
      const { trust } = workload
      return {
        floor: rawVerify(workload, passport.entries),
        subject: () => verifyPassport(passport, { trust, threads }),
      }
    },
  }
}

export const verify1: TimeFigure = verifyFigure({ name: 'verify 1 entry', entries: 1, threads: 'inline' })
export const verify5: TimeFigure = verifyFigure({
  name: 'verify 5 entries',
  entries: 5,
  threads: 'inline',
  target: 1.15,
})
export const verify100: TimeFigure = verifyFigure({
  name: 'verify 100 entries, one thread',
  entries: 100,
  threads: 'inline',
  target: 1.15,
})
export const verify100Pool: TimeFigure = verifyFigure({
  name: 'verify 100 entries, thread pool',
  entries: 100,
  threads: 'pool',
  target: 0.65,
})
export const verify20Auto: TimeFigure = verifyFigure({
  name: 'verify 20 entries, threads as it sees fit',
  entries: 20,
  threads: 'auto',
})
export const verify100P256: TimeFigure = verifyFigure({
  name: 'verify 100 entries, one thread, P-256',
  entries: 100,
  threads: 'inline',
  kind: 'P-256',
})
