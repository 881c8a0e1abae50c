import type { HttpBindings } from '@hono/node-server'
import * as core from '@kest/core'
import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'

export type KestEnv = { Bindings: HttpBindings; Variables: { kest: core.RequestKest } }

/** Requests that were let in. By Hono's context, not on it: nobody else can write it. */
const exchanges = new WeakMap<Context<KestEnv>, core.Exchange>()

/** The inbound side, on Node; to be used first, and once. */
export function kestHono(options: core.AdapterOptions = {}): MiddlewareHandler<KestEnv> {
  const ingress = core.createIngress('kestHono', options)
  return async function kestIngress(c, next) {
    if (exchanges.has(c)) throw new core.KestConfigError('kestHono: it is used twice')
    const { incoming: request, outgoing: response } = c.env
    let exchange: core.Exchange
    try {
      exchange = await ingress.receive({ request, response })
    } catch (error) {
      return refusal(ingress, error)
    }
    // Hono's Request has header fields of its own, made of those that came.
    const { baggage } = request.headers
    if (baggage === undefined) c.req.raw.headers.delete('baggage')
    else c.req.raw.headers.set('baggage', String(baggage))
    exchanges.set(c, exchange)
    c.set('kest', exchange)
    await exchange.handle(next)
    if (ingress.listener.takesLineage)
      c.header('vary', core.varyByBaggage(c.res.headers.get('vary') ?? undefined))
    return undefined
  }
}

/** Stands in front of a route's handler: `app.get('/orders/:id', protect({ policy: 'orders/read' }), handler)`. */
export function protect(
  options: core.RouteOperationOptions<[c: Context<KestEnv>]>,
): MiddlewareHandler<KestEnv> {
  const operations = new core.RouteOperations('protect()', options)
  return async function kestProtect(c, next) {
    const exchange = exchanges.get(c)
    if (exchange === undefined) throw new core.KestConfigError('protect(): no kestHono() let the request in')
    try {
      await exchange.begin(operations.named(core.operationName(c.req.method, routePath(c))), { args: [c] })
    } catch (error) {
      return refusal(exchange.ingress, error)
    }
    return exchange.run(next)
  }
}

/** Hono runs nothing behind a middleware that answers, or throws. */
function refusal({ onError }: core.Ingress, error: unknown): Response {
  if (onError === 'next') throw core.toError(error)
  const { status, headers, body } = core.toProblem(error)
  return new Response(JSON.stringify(body), { status, headers })
}
