import type { ServerResponse } from 'node:http'
import { KestError, OnceAWhile, requestFacts, respond, stderrLogger, toProblem } from '@kest/core'
import { knownOf } from './about-request.js'
import type { Next, RequestParts } from './middleware.js'
import { refuseAgain } from './refuse.js'
import { type RouterParts, routersAround } from './router-parts.js'

interface Last {
  readonly handler: unknown
  readonly length: number
}

/** What stands at the end of routers, and how many layers there were with it. */
const lasts = new WeakMap<RouterParts, Last>()

/**
 * Sees to it that what the application leaves to Express, and is Kest's, is answered with problem+json: errors of Kest that
 * no error handler answers, which Express would show with their stack, and refused requests that an error handler sends on.
 * It stands last in the outermost application. When something was declared since, it is appended anew; the old one stays,
 * without effect, since requests are under way.
 */
export function answerLast(req: RequestParts): void {
  const router = routersAround(req).at(-1)
  if (router === undefined || lasts.get(router)?.length === router.stack.length) return
  // Whoever asks can cause them as often as he likes.
  const unanswered = new OnceAWhile()
  const handler = function kestErrors(
    error: unknown,
    req: RequestParts,
    res: ServerResponse,
    next: Next,
  ): void {
    if (lasts.get(router)?.handler !== handler || !(error instanceof KestError)) {
      next(error)
      return
    }
    // As Express does with errors that end here.
    const count = process.env['NODE_ENV'] === 'test' ? 0 : unanswered.count()
    if (count > 0) {
      const { code, message: err } = error
      const known = { ...requestFacts(req, () => knownOf(req)), code, err, count }
      stderrLogger.error(known, 'no error handler answered errors of Kest')
    }
    respond(res, toProblem(error))
  }
  router.use(kestRefused, handler)
  lasts.set(router, { handler, length: router.stack.length })
}

function kestRefused(req: RequestParts, res: ServerResponse, next: Next): void {
  if (!refuseAgain(req, res)) next()
}
