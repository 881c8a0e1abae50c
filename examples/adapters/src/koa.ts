import * as core from '@kest/core'
import type { Context, Middleware } from 'koa'

declare module 'koa' {
  interface DefaultContext {
    readonly kest: core.RequestKest
  }
}

/** Requests that were let in. By Koa's context, not on it: nobody else can write it. */
const exchanges = new WeakMap<Context, core.Exchange>()

/** The inbound side; to be used first, and once. */
export function kestKoa(options: core.AdapterOptions = {}): Middleware {
  const ingress = core.createIngress('kestKoa', options)
  return async function kestIngress(ctx, next) {
    if (exchanges.has(ctx)) throw new core.KestConfigError('kestKoa: it is used twice')
    if (ingress.listener.takesLineage) ctx.vary('baggage')
    const { req: request, res: response, originalUrl: url } = ctx
    let exchange: core.Exchange
    try {
      exchange = await ingress.receive({ request, response, url, known: () => ({ peer: ctx.ip }) })
    } catch (error) {
      return refuse(ctx, ingress, error)
    }
    exchanges.set(ctx, exchange)
    Object.assign(ctx, { kest: exchange })
    await exchange.handle(next)
  }
}

/** Stands in front of a route's handler: `router.get('/orders/:id', protect({ policy: 'orders/read' }), handler)`. */
export function protect(options: core.RouteOperationOptions<[ctx: Context]>): Middleware {
  const operations = new core.RouteOperations('protect()', options)
  return async function kestProtect(ctx, next) {
    const exchange = exchanges.get(ctx)
    if (exchange === undefined) throw new core.KestConfigError('protect(): no kestKoa() let the request in')
    try {
      const { _matchedRoute: pattern } = ctx
      if (pattern === undefined) throw new core.KestConfigError('protect(): it stands in no route')
      const name = core.operationName(ctx.method, String(pattern))
      await exchange.begin(operations.named(name), { args: [ctx] })
    } catch (error) {
      return refuse(ctx, exchange.ingress, error)
    }
    await exchange.run(next)
  }
}

/** Koa runs nothing behind a middleware that does not call `next()`, whatever those before it do then. */
function refuse(ctx: Context, { onError }: core.Ingress, error: unknown): undefined {
  if (onError === 'next') throw core.toError(error)
  const { status, headers, body } = core.toProblem(error)
  ctx.status = status
  ctx.body = JSON.stringify(body)
  ctx.set(headers)
  // Where half of another answer is out, it must not look complete.
  if (ctx.headerSent) core.cutOff(ctx.res)
}
