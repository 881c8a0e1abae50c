import { KestError } from '@kest/core'
import type { Around } from './own-context.js'

/**
 * What guards whoever waits for the response of a request with a passport against what stands around Kest.
 *
 * A dispatcher below Kest that follows redirects by itself sends the same headers to wherever it is told, and Kest is
 * not asked again (K-REDIRECT). undici tells the handler of a redirect before anything of the next request is written;
 * there the request ends.
 *
 * A cache above Kest does not see the passport, and would give the answer to whoever asks next. `Vary: *` (RFC 9110
 * §12.5.5) says that no other request may have it.
 */
export const PASSPORT_GUARD: Around = Object.freeze<Around>({
  onRequestStart: (start) => (controller, context) => {
    if (wasRedirected(context)) (controller as { abort(reason: Error): void }).abort(redirectedBelow())
    else start(controller, context)
  },
  onConnect: (connect) => (abort, context) => {
    if (wasRedirected(context)) (abort as (reason: Error) => void)(redirectedBelow())
    else connect(abort, context)
  },
  onResponseStart: (start) => (controller, status, headers, message) =>
    start(controller, status, { ...(headers as object), vary: '*' }, message),
})

function wasRedirected(context: unknown): boolean {
  const history = (context as { readonly history?: unknown } | null | undefined)?.history
  return Array.isArray(history) && history.length > 0
}

function redirectedBelow(): KestError {
  return new KestError(
    'ERR_KEST_OUTBOUND',
    'a dispatcher below Kest followed a redirect with a passport in its hands: compose(kest, redirect), in this order',
  )
}
