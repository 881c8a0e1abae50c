import { runInThisContext } from 'node:vm'
import { KestError } from '@kest/core'
import type { Dispatchable, DispatchHandler } from './dispatcher.js'

/** Where undici keeps the global dispatcher: up to version 7, and from version 8 on. */
const FIRST = Symbol.for('undici.globalDispatcher.1')
const SECOND = Symbol.for('undici.globalDispatcher.2')

type MockableDispatcher = Dispatchable & { readonly isMockActive?: boolean }
type Slots = { [slot: symbol]: MockableDispatcher | undefined }

/**
 * The globals that an undici may have its dispatcher on. A test runner gives the code a realm of its own (Jest, and Vitest
 * in `vmThreads`): a package undici keeps it there, and that of Node, whose `fetch` is handed in, outside.
 */
const here = globalThis as Slots
const outside = runInThisContext('globalThis') as Slots
const realms: ReadonlySet<Slots> = new Set([here, outside])

/**
 * The global dispatcher, whichever it is when a request comes: applications replace it.
 *
 * Two undicis may live in one process (Node's, and a package), and those before version 8 understand only handlers of
 * the first generation. So the handler says which slot its own fetch would look at: `onRequestStart` is the second's;
 * and by its realm, on which global.
 */
export const globalDispatcher: MockableDispatcher = Object.freeze({
  dispatch(options: never, handler: never): boolean {
    const slots = (handler as unknown) instanceof Object ? here : outside
    const second = typeof (handler as DispatchHandler).onRequestStart === 'function'
    const dispatcher = second ? (slots[SECOND] ?? slots[FIRST]) : (slots[FIRST] ?? slots[SECOND])
    if (dispatcher === undefined) throw new KestError('ERR_KEST_OUTBOUND', 'undici has no global dispatcher')
    return dispatcher.dispatch(options, handler)
  },
  /** fetch asks it, to hand a `MockAgent` the body as it was given. */
  get isMockActive(): boolean {
    return [...realms].some((slots) => [FIRST, SECOND].some((slot) => slots[slot]?.isMockActive === true))
  },
})

/**
 * Makes a call with the global dispatchers wrapped until it returns. A fetch looks at them before that, and only where
 * its request has no dispatcher of its own; so this one stays, where nobody can see it.
 */
export function withGlobalDispatchers<R>(
  wrap: (dispatcher: MockableDispatcher) => MockableDispatcher,
  call: () => R,
): R {
  const putBack: (() => void)[] = []
  try {
    for (const slots of realms) {
      for (const slot of [FIRST, SECOND]) {
        const dispatcher = slots[slot]
        if (dispatcher === undefined) continue
        const wrapped = wrap(dispatcher)
        slots[slot] = wrapped
        putBack.push(() => {
          if (slots[slot] === wrapped) slots[slot] = dispatcher
        })
      }
    }
    return call()
  } finally {
    for (const undo of putBack.reverse()) undo()
  }
}
