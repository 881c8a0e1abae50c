import type { IncomingMessage, ServerResponse } from 'node:http'
import { type OperationDefinition, type RouteOperationOptions, RouteOperations } from '@kest/core'
import { exchangeOf, notePass } from './exchange.js'
import type { KestMiddleware, Next, RequestParts } from './middleware.js'
import { operationNameOf, patternText } from './operation-name.js'
import { hold, misconfigured, refuse, refuseAgain } from './refuse.js'
import { goOn } from './undecided.js'

const NOT_RECEIVED =
  'protect() was reached by a request that no kestExpress() let in: mount it before, and of one copy of @kest/express'

/**
 * What an operation is, beside its name. Values that may differ from request to request are given as such, or as a
 * function of the request.
 */
export type RouteOptions<Req extends IncomingMessage = IncomingMessage> = RouteOperationOptions<[req: Req]>

/** {@link RouteOptions}, and the name where it is not the route's. */
export type ProtectOptions<Req extends IncomingMessage = IncomingMessage> = RouteOptions<Req> & {
  /** Default: the request's method and the route's pattern, `GET /orders/:id`. Required outside a route. */
  readonly operation?: string | undefined
}

const protections = new WeakSet<object>()

/** Whether a handler is a `protect()`. */
export function isProtect(handler: unknown): boolean {
  return typeof handler === 'function' && protections.has(handler)
}

/**
 * Protects what stands behind it in a route: decides, signs the entry, and goes on in the operation's state. When that
 * fails the request is answered, and nothing behind runs. Starts from the state on the request, so that it does not
 * matter if a middleware in between lost the ambient one.
 *
 * Each `protect()` that a request passes is one operation with one entry. It is over when the response is.
 *
 * @throws {KestConfigError} for options that are missing, unknown or wrong. At a request: 500 `ERR_KEST_CONFIG` where
 * `kestExpress()` did not let the request in; otherwise as `kest.begin` rejects.
 *
 * @example
 * ```ts
 * app.get('/orders/:id', protect({ policy: 'orders/read', resource: (req) => ({ id: req.params.id }) }), handler)
 * ```
 */
export function protect<Req extends IncomingMessage = IncomingMessage>(
  options: ProtectOptions<Req>,
): KestMiddleware<Req> {
  const { operation, ...rest } = options ?? {}
  const operations = new RouteOperations('protect()', rest as RouteOptions)
  if (operation !== undefined) operations.named(operation)

  function kestProtect(req: RequestParts, res: ServerResponse, next: Next): void {
    authorize(req, res, next, () => operations.named(operation ?? operationNameOf(req)))
  }
  protections.add(kestProtect)
  return kestProtect
}

/** Lets the request go on as the operation, or ends its way. */
export function authorize(
  req: RequestParts,
  res: ServerResponse,
  next: Next,
  definition: () => OperationDefinition,
): void {
  if (refuseAgain(req, res)) return
  const exchange = exchangeOf(req)
  if (exchange === undefined) {
    const route = patternText(req.route?.path ?? '(none)')
    refuse(misconfigured(`${NOT_RECEIVED}; route: ${route}`), 'respond', req, res, next)
    return
  }
  hold(req)
  const begin = async () => exchange.begin(definition(), { args: [req] })
  begin().then(
    () => {
      notePass(exchange, req)
      exchange.run(() => goOn(req, next))
    },
    (error: unknown) => refuse(error, exchange.ingress.onError, req, res, next),
  )
}
