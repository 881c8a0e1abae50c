import type { IncomingMessage } from 'node:http'
import type { Exchange, RequestKest } from '@kest/core'
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
export type OnError = 'respond' | 'next'

/** A request that was let in, and by which middleware. */
export interface Entrance {
  readonly exchange: Exchange
  readonly onError: OnError
  readonly ingress: unknown
}

/** Requests that were let in. Not a property of the request: nothing else can write it. */
const entrances = new WeakMap<IncomingMessage, Entrance>()

/** How the request was let in; `undefined` when no ingress middleware did. */
export function entranceOf(req: IncomingMessage): Entrance | undefined {
  return entrances.get(req)
}

export function letIn(req: IncomingMessage & { kest?: RequestKest }, entrance: Entrance): void {
  entrances.set(req, entrance)
  req.kest = entrance.exchange
}

interface Pass {
  readonly route: unknown
  readonly params: unknown
}

/** In which pass through a route the innermost operation has begun. */
const passes = new WeakMap<Exchange, Pass>()

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
