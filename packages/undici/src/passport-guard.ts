import { KestError } from '@kest/core'
import { replacing } from './delegate.js'
import type { DispatchHandler } from './dispatcher.js'

/**
 * What waits for the response of a request with a passport, guarded against what stands around Kest.
 *
 * A dispatcher below Kest that follows redirects by itself sends the same headers to wherever it is told, and Kest is
 * not asked again (K-REDIRECT). undici tells the handler of a redirect before anything of the next request is written;
 * there the request ends.
 *
 * A cache above Kest does not see the passport, and would give the answer to whoever asks next. `Vary: *` (RFC 9110
 * §12.5.5) says that no other request may have it.
 */
export function guarded<Handler extends DispatchHandler>(handler: Handler): Handler {
  return replacing(handler, {
    onRequestStart(controller, context) {
      if (wasRedirected(context)) controller.abort(redirectedBelow())
      else handler.onRequestStart?.(controller, context)
    },
    onConnect(abort, context) {
      if (wasRedirected(context)) abort(redirectedBelow())
      else handler.onConnect?.(abort, context)
    },
    onResponseStart(controller, status, headers, message) {
      handler.onResponseStart?.(controller, status, { ...headers, vary: '*' }, message)
    },
  })
}

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
