import type { RouteHandlerMethod } from 'fastify'
import { exchangeOf } from './request.js'

/** Handlers that are followed already: the route of a HEAD has its GET's. */
const all = new WeakSet<object>()

/**
 * The same handler, and the request knows whether what it answered has settled (K-STATE). It does not run before its
 * operation has begun: a hook that calls back twice sends Fastify on to the handler while the policies are being asked.
 */
export function followed(handler: RouteHandlerMethod): RouteHandlerMethod {
  if (typeof handler !== 'function' || all.has(handler)) return handler
  const follower: RouteHandlerMethod = function (request, reply) {
    const handle = (): unknown => handler.call(this, request, reply)
    const exchange = exchangeOf(request)
    if (!exchange) return handle()
    return exchange.operation === null ? undefined : exchange.handle(handle)
  }
  Object.defineProperty(follower, 'name', { value: handler.name, configurable: true })
  all.add(follower)
  return follower
}
