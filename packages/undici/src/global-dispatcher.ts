import { KestError } from '@kest/core'
import type { Dispatchable, DispatchHandler } from './dispatcher.js'

/** Where undici keeps the global dispatcher: up to version 7, and from version 8 on. */
const FIRST = Symbol.for('undici.globalDispatcher.1')
const SECOND = Symbol.for('undici.globalDispatcher.2')

const slots = globalThis as { readonly [slot: symbol]: MockableDispatcher | undefined }

type MockableDispatcher = Dispatchable & { readonly isMockActive?: boolean }

/**
 * The global dispatcher, whichever it is when a request comes: applications replace it.
 *
 * Two undicis may live in one process (Node's, and a package), and those before version 8 understand only handlers of
 * the first generation. So the handler says which slot its own fetch would look at: `onRequestStart` is the second's.
 */
export const globalDispatcher: MockableDispatcher = Object.freeze({
  dispatch(options: never, handler: never): boolean {
    const second = typeof (handler as DispatchHandler).onRequestStart === 'function'
    const dispatcher = second ? (slots[SECOND] ?? slots[FIRST]) : (slots[FIRST] ?? slots[SECOND])
    if (dispatcher === undefined) throw new KestError('ERR_KEST_OUTBOUND', 'undici has no global dispatcher')
    return dispatcher.dispatch(options, handler)
  },
  /** fetch asks it, to hand a `MockAgent` the body as it was given. */
  get isMockActive(): boolean {
    return [FIRST, SECOND].some((slot) => slots[slot]?.isMockActive === true)
  },
})
