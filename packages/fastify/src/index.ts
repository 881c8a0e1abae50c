import { KestConfigError } from '@kest/core'
import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import { addHooks, assertGuarded } from './hooks.js'
import { type KestFastifyOptions, type KestRouteOptions, resolveOptions } from './options.js'
import { assertOrder, earlierPlugins, misplacedPlugin } from './order.js'
import { publishKeys } from './publish-keys.js'
import type { KestRequest } from './request.js'
import { enterScope, Scope, scopeOf } from './scope.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** `null` before the request was judged, and for a route that Kest leaves alone. */
    kest: KestRequest | null
  }
  interface FastifyContextConfig {
    /** What this route's operation is; `false` leaves the route alone. */
    kest?: false | (object & KestRouteOptions)
  }
}

const plugin: FastifyPluginCallback<KestFastifyOptions> = (instance, options, done) => {
  try {
    const resolved = resolveOptions(options)
    const enclosing = scopeOf(instance)
    const scope = new Scope(resolved, enclosing, earlierPlugins(instance))
    enterScope(instance, scope)
    // Inside another registration its hooks are inherited, and find this scope.
    if (enclosing === undefined) {
      instance.decorateRequest('kest', null)
      addHooks(instance)
    }
    if (resolved.keysPath !== null) publishKeys(instance, resolved.keysPath, scope.kest)
    instance.addHook('onReady', (ready) => {
      try {
        assertOrder(scope.misplaced ?? misplacedPlugin(instance, scope.before))
        assertGuarded(scope)
        assertExclusionsMet(instance, scope)
        ready()
      } catch (error) {
        ready(error as Error)
      }
    })
    done()
  } catch (error) {
    done(error as Error)
  }
}

/** @throws {KestConfigError} for an exclusion that fits no route: it is misspelled, or what it was for is gone */
function assertExclusionsMet(instance: FastifyInstance, { exclusions }: Scope): void {
  for (const pattern of exclusions.unmet()) {
    const [url = '', only] = pattern.split(' ').reverse()
    const methods = only === undefined ? instance.supportedMethods : [only]
    // Routes that were declared before the plugin are met at their first request.
    const urls = url === '*' ? ['*', '/*'] : [url]
    if (methods.some((method) => urls.some((url) => instance.hasRoute({ method, url } as never)))) continue
    throw new KestConfigError(`kestFastify.exclude: no route of this scope has "${pattern}"`)
  }
}

/**
 * Kest for a Fastify application, or for one scope of it: every request's lineage and token are judged before anything
 * else runs, and each route's handler runs only when its policies allow it and its entry is signed. Register it before
 * routes, and behind what is for every request: CORS, security headers, rate limits (the manual has the order).
 * Registered again in a scope inside, it means: these options for that scope.
 *
 * A route that has no policy, neither its own (`config.kest.policy`) nor by the `policy` option, fails at start.
 *
 * @throws {KestConfigError} by rejecting: no Kest instance, an unknown or wrong option, a route without a policy, an
 *   exclusion that fits no route, a plugin behind it that can only work before it.
 *
 * @example
 * ```ts
 * await app.register(kestFastify, { origin: 'user_input' })
 * app.get<{ Params: { id: string } }>(
 *   '/orders/:id',
 *   { config: { kest: { policy: 'orders/read' } } },
 *   async ({ params }) => find(params.id),
 * )
 * ```
 */
const kestFastify: FastifyPluginCallback<KestFastifyOptions> = fp(plugin, {
  fastify: '5.x',
  name: '@kest/fastify',
})

export type { KestFastifyOptions, KestRouteOptions, RouteInfo } from './options.js'
export type { KestRequest } from './request.js'
export { kestFastify, kestFastify as default, kestFastify as 'module.exports' }
