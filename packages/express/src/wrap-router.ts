import { type IncomingMessage, METHODS } from 'node:http'
import { KestConfigError, operationName, RouteOperations } from '@kest/core'
import { exchangeOf, hasPassed } from './exchange.js'
import { inState, isErrorHandler } from './in-state.js'
import type { KestMiddleware, RequestParts } from './middleware.js'
import { joinPatterns, patternText } from './operation-name.js'
import { Place, placeOf } from './place.js'
import { authorize, isProtect, type RouteOptions } from './protect.js'
import { type Callable, hasRoutes, isRouting, parseUse, type RouterParts, routerOf } from './router-parts.js'

/** How the routes of a router are protected. */
export type WrapRouterOptions<Req extends IncomingMessage = IncomingMessage> = RouteOptions<Req> & {
  /** Paths, as they are declared, of routes that stay unprotected. Default: none. One that fits nothing opens nothing. */
  readonly exclude?: readonly string[] | undefined
  /**
   * Paths, as they are given to `use()`, at which routers may be mounted without being wrapped: nothing in them is
   * protected, unless by a `protect()` of its own. Default: none. `/` is also where `use()` without a path mounts.
   */
  readonly mountUnwrapped?: readonly string[] | undefined
  /**
   * Pattern of the path at which the router is reached, for the operations' names: `/tenants/:tenant`. Default: where
   * it is mounted, if it is mounted on something wrapped; else the names begin at the router.
   */
  readonly mount?: string | undefined
  /**
   * Where the protection stands among the handlers that a route is first declared with: in front of the `'first'`
   * (default), or of the `'last'`, behind what parses bodies and uploads, so that options may look at what was parsed.
   * What it then stands behind runs also for requests that are denied.
   */
  readonly guard?: 'first' | 'last' | undefined
}

/** An Express application or router, of either major. */
export interface RouterLike {
  route(path: never): unknown
  use(...handlers: never[]): unknown
}

type Guard = KestMiddleware<RequestParts>

const ROUTE_METHODS: readonly string[] = [...METHODS.map((method) => method.toLowerCase()), 'all']

/**
 * Protects every route that is declared on a router or application from now on: the first handlers of each method get
 * a protection in front of them, so that a request that matches no route is not judged. The same object is returned.
 *
 * A route whose first handler is a `protect()` has that one instead.
 *
 * Not covered: handlers of `use()` and `param()`, which Express runs before it knows a route and which may answer by
 * themselves (`express.static` does). Routers and applications given to `use()` must be wrapped, or their path
 * be listed in `mountUnwrapped`.
 *
 * An application's settings for routing are fixed by wrapping it: set `case sensitive routing`, `strict routing` and,
 * in Express 4, `query parser` before.
 *
 * @throws {KestConfigError} for wrong options; for what is no router, is wrapped already, or has routes or routers
 * already. Later, `use()` throws it for a router that is neither wrapped nor listed in `mountUnwrapped`.
 *
 * @example
 * ```ts
 * const orders = wrapRouter(express.Router(), { policy: 'orders', mount: '/orders' })
 * orders.get('/:id', handler)                       // operation "GET /orders/:id"
 * app.use('/orders', orders)
 * ```
 */
export function wrapRouter<R extends RouterLike, Req extends IncomingMessage = IncomingMessage>(
  router: R,
  options: WrapRouterOptions<Req>,
): R {
  const { exclude, mountUnwrapped, mount, guard = 'first', ...rest } = options ?? {}
  const isExcluded = pathsOf('exclude', exclude)
  const mayMount = pathsOf('mountUnwrapped', mountUnwrapped)
  if (mount !== undefined && (typeof mount !== 'string' || !mount.startsWith('/'))) {
    throw new KestConfigError('wrapRouter.mount: expected a path that begins with "/"')
  }
  if (guard !== 'first' && guard !== 'last')
    throw new KestConfigError(`wrapRouter.guard: expected "first" or "last", got ${String(guard)}`)
  const operations = new RouteOperations('wrapRouter()', rest as RouteOptions)
  const base = routerOf(router)
  if (placeOf(base) !== undefined) throw new KestConfigError('wrapRouter: this router is wrapped already')
  if (hasRoutes(base)) {
    throw new KestConfigError(
      'wrapRouter: it has routes already, which would stay unprotected; wrap it first',
    )
  }

  const place = new Place(mount, [base, router])
  const guardOf = (path: unknown) => (isExcluded(path) ? null : createGuard(operations, place, path))
  guardRoutes(base, guardOf, guard === 'first' ? inFront : beforeLast)
  // An application hands what it mounts to its router as a plain function: it is looked at before.
  for (const target of new Set([base, router as unknown as RouterParts])) watchUse(target, place, mayMount)
  return router
}

/**
 * Whether a path is on a list; of several, all must be.
 * @throws {KestConfigError} for what is no list of paths
 */
function pathsOf(option: string, paths: unknown = []): (path: unknown) => boolean {
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string' && path !== '')) {
    throw new KestConfigError(`wrapRouter.${option}: expected a list of paths`)
  }
  const listed = new Set(paths as readonly string[])
  const isListed = (path: unknown): boolean =>
    Array.isArray(path) ? path.length > 0 && path.every(isListed) : listed.has(patternText(path))
  return isListed
}

/** Has every route that is declared from now on guarded, unless `guardOf` answers `null` for its path. */
function guardRoutes(router: RouterParts, guardOf: (path: unknown) => Guard | null, put: PutGuard): void {
  const { route } = router
  router.route = function kestRoute(path) {
    const declared = route.call(this, path) as Record<string, Callable>
    const guard = guardOf(path)
    if (guard !== null) guardRoute(declared, guard, put)
    return declared
  }
}

/** Puts the guard among the first handlers that each method of the route gets; all run in the request's state. */
function guardRoute(route: Record<string, Callable>, guard: Guard, put: PutGuard): void {
  for (const method of ROUTE_METHODS) {
    const declare = route[method]
    if (typeof declare !== 'function') continue
    let guarded = false
    route[method] = function (...args) {
      const handlers = args.flat(Number.POSITIVE_INFINITY)
      const stated = handlers.map(inState)
      const result = declare.apply(this, guarded || handlers.length === 0 ? stated : put(guard, stated))
      guarded ||= handlers.length > 0
      return result
    }
  }
}

type PutGuard = (guard: Guard, handlers: readonly unknown[]) => unknown[]

/** A `protect()` that is there already stands for the guard. */
const inFront: PutGuard = (guard, handlers) => (isProtect(handlers[0]) ? [...handlers] : [guard, ...handlers])

const beforeLast: PutGuard = (guard, handlers) => {
  if (handlers.some(isProtect)) return [...handlers]
  const last = handlers.findLastIndex((handler) => !isErrorHandler(handler))
  return handlers.toSpliced(Math.max(last, 0), 0, guard)
}

function createGuard(operations: RouteOperations<never>, place: Place, path: unknown): Guard {
  return function kestGuard(req, res, next) {
    const exchange = exchangeOf(req)
    // `route.all(a).get(b)`: both have the guard in front of them, and one request may go through both.
    if (exchange !== undefined && hasPassed(exchange, req)) exchange.run(next)
    else
      authorize(req, res, next, () =>
        operations.named(operationName(req.method, joinPatterns(place.pattern(), path))),
      )
  }
}

/** Learns where wrapped routers are mounted, and refuses others. */
function watchUse(target: RouterParts, place: Place, mayMount: (path: unknown) => boolean): void {
  const { use } = target
  target.use = function kestUse(...args) {
    const { path, handlers } = parseUse(args)
    for (const handler of handlers.filter(isRouting)) {
      const child = placeOf(handler)
      if (child !== undefined) child.mountedAt(place, path)
      else if (!mayMount(path)) {
        throw new KestConfigError(
          `wrapRouter: use("${patternText(path)}") of a router that is not wrapped would leave its routes unprotected`,
        )
      }
    }
    return use.apply(this, args)
  }
}
