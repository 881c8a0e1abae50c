import type { IncomingMessage } from 'node:http'
import { exchangeOf } from './exchange.js'
import { isProtect } from './protect.js'
import type { Callable } from './router-parts.js'

/** By their number of parameters Express knows those that take errors. */
export function isErrorHandler(handler: unknown): boolean {
  return typeof handler === 'function' && handler.length === 4
}

/**
 * The same handler of a route, run in its request's state also where what stands before it continued elsewhere, as
 * parsers do. What it answers says when it is done (K-STATE).
 */
export function inState(handler: unknown): unknown {
  // Those with more parameters than Express knows are never run.
  if (typeof handler !== 'function' || handler.length > 4 || isProtect(handler)) return handler
  const own = handler as Callable
  const wrapped: Callable = isErrorHandler(handler)
    ? function (error, req, res, next) {
        return handle(req, () => own.call(this, error, req, res, next))
      }
    : function (req, res, next) {
        return handle(req, () => own.call(this, req, res, next))
      }
  return Object.defineProperty(wrapped, 'name', { value: handler.name, configurable: true })
}

function handle(req: unknown, handler: () => unknown): unknown {
  const exchange = exchangeOf(req as IncomingMessage)
  return exchange === undefined ? handler() : exchange.handle(handler)
}
