import type { IncomingMessage } from 'node:http'
import { createPrivateSlot, type Exchange, type Ingress, type RequestKest } from '@kest/core'
import type { RequestParts } from './middleware.js'

declare global {
  namespace Express {
    interface Request {
      /** Set by `kestExpress()` on requests that it let in. */
      kest?: RequestKest
    }
  }
}

/** What a refused request is answered with: by Kest itself, or by the application's error handlers. */
export type OnError = Ingress['onError']

/** Requests that were let in. Not a property of the request: nothing else can write it. */
const exchanges = createPrivateSlot<IncomingMessage, Exchange>()

/** The request's exchange; `undefined` when no ingress middleware let it in. */
export function exchangeOf(req: IncomingMessage): Exchange | undefined {
  return exchanges.get(req)
}

export function letIn(req: IncomingMessage & { kest?: RequestKest }, exchange: Exchange): void {
  exchanges.set(req, exchange)
  req.kest = exchange
}

interface Pass {
  readonly route: unknown
  readonly params: unknown
}

/** In which pass through a route the innermost operation has begun. */
const passes = createPrivateSlot<Exchange, Pass>()

export function notePass(exchange: Exchange, { route, params }: RequestParts): void {
  passes.set(exchange, { route, params })
}

/**
 * Whether an operation has begun in this very pass through this route. Express makes new `params` each time that it
 * matches a route; a second pass, after `next('route')` or a rewritten URL, is another matter.
 */
export function hasPassed(exchange: Exchange, { route, params }: RequestParts): boolean {
  const passed = passes.get(exchange)
  return passed !== undefined && params !== undefined && passed.params === params && passed.route === route
}
