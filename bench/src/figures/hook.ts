import type { KestOptions } from '@kest/core'
import type { TimeFigure } from '../figure.js'
import { createWorkload, type KeyKind, rawSign, recording, requestState } from '../workload.js'

interface HookCase {
  readonly name: string
  readonly kind?: KeyKind
  readonly target?: number
  /** Entries that are there already. */
  readonly after?: number
  readonly options?: () => KestOptions
}

/** The whole lifecycle around a function that does nothing: decide, sign, record, run. */
function hookFigure({ name, kind = 'Ed25519', target, after = 0, options }: HookCase): TimeFigure {
  return {
    group: 'hook',
    name,
    unit: 'µs',
    floor: `one ${kind} signature`,
    ...(target === undefined ? {} : { target }),
    async prepare() {
      const workload = createWorkload(kind, options?.())
      const { kest, root, child } = workload
      const state = after === 0 ? null : (await workload.chain(after)).state
      const hook = async (): Promise<void> => {
        const operation =
          state === null
            ? await kest.begin(root, { state: null })
            : await kest.begin(child, { state: requestState(state) })
        await operation.run(nothing)
      }
      return { floor: rawSign(workload, (await workload.chain(after + 1)).entry.jws), subject: hook }
    },
  }
}

function nothing(): void {}

export const hookAtRoot: TimeFigure = hookFigure({ name: 'the whole hook, at a root', target: 1.4 })
export const hookRecording: TimeFigure = hookFigure({
  name: 'the whole hook, at a root, with a recording SDK',
  target: 1.6,
  options: recording,
})
export const hookAfter5: TimeFigure = hookFigure({
  name: 'the whole hook, after 5 entries',
  target: 1.45,
  after: 5,
})
export const hookAfter100: TimeFigure = hookFigure({
  name: 'the whole hook, after 100 entries',
  target: 1.6,
  after: 100,
})
export const hookP256: TimeFigure = hookFigure({ name: 'at a root, with P-256', kind: 'P-256' })
