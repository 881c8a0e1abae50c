import { KestConfigError } from '@kest/core'
import type { FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import { addHooks, assertGuarded } from './hooks.js'
import { type KestFastifyOptions, type KestRouteOptions, resolveOptions } from './options.js'
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
    const scope = new Scope(resolved, enclosing)
    enterScope(instance, scope)
    // Inside another registration its hooks are inherited, and find this scope.
    if (enclosing === undefined) {
      instance.decorateRequest('kest', null)
      addHooks(instance)
    }
    if (resolved.keysPath !== null) publishKeys(instance, resolved.keysPath, scope.kest)
    instance.addHook('onReady', (ready) => {
      try {
        assertGuarded(scope)
      } catch (error) {
        ready(error as Error)
        return
      }
      const [unmet] = scope.exclusions
        .unmet()
        .filter(
          (url) => !instance.supportedMethods.some((method) => instance.hasRoute({ method, url } as never)),
        )
      ready(
        unmet === undefined
          ? undefined
          : new KestConfigError(`kestFastify.exclude: no route of this scope has "${unmet}"`),
      )
    })
    done()
  } catch (error) {
    done(error as Error)
  }
}

/**
 * Kest for a Fastify application, or for one scope of it: every request's lineage and token are judged before anything
 * else runs, and each route's handler runs only when its policies allow it and its entry is signed. Register it first.
 * Registered again in a scope inside, it means: these options for that scope.
 *
 * A route that has no policy, neither its own (`config.kest.policy`) nor by the `policy` option, fails at start.
 *
 * @throws {KestConfigError} by rejecting: no Kest instance, an unknown or wrong option, a route without a policy, an
 *   exclusion that fits no route.
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
