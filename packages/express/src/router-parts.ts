import { KestConfigError } from '@kest/core'

/** What is read and replaced of Express's own objects, alike in both majors unless said otherwise. */
export type Callable = (this: unknown, ...args: unknown[]) => unknown

/** One function of a router or a route, or all of a route. */
export interface LayerParts {
  readonly route?: unknown
  readonly handle?: unknown
}

/** A router, in what Express itself calls for every route that is declared and everything that is mounted. */
export interface RouterParts {
  route: Callable
  use: Callable
  readonly stack: readonly LayerParts[]
}

/** How an application comes by its router: 4 makes `_router` in `lazyrouter`, 5 has `router`. */
interface ApplicationParts {
  readonly stack: unknown
  readonly lazyrouter: Callable
  readonly _router: unknown
  readonly router: unknown
}

/**
 * The router of an application, or the router itself.
 * @throws {KestConfigError} for what is neither
 */
export function routerOf(target: unknown): RouterParts {
  const router = findRouter(target)
  if (router === undefined) throw new KestConfigError('wrapRouter: expected an Express application or router')
  return router
}

/** The routers of the applications that a request is in, the innermost first; of those that are Express's. */
export function routersAround({ app }: { readonly app?: { readonly parent?: unknown } }): RouterParts[] {
  if (app === undefined) return []
  const around = routersAround({ app: app.parent as typeof app })
  const router = findRouter(app)
  return router === undefined ? around : [router, ...around]
}

function findRouter(target: unknown): RouterParts | undefined {
  const router: unknown =
    typeof target === 'function' ? underlying(target as Partial<ApplicationParts>) : null
  const { route, use, stack } = (router ?? {}) as Partial<RouterParts>
  const isRouter = typeof route === 'function' && typeof use === 'function' && Array.isArray(stack)
  return isRouter ? (router as RouterParts) : undefined
}

function underlying(target: Partial<ApplicationParts>): unknown {
  if (Array.isArray(target.stack)) return target
  // In 4, `router` is a getter that throws.
  if (typeof target.lazyrouter !== 'function') return target.router
  target.lazyrouter()
  return target._router
}

/** Whether anything in it has routes: a route, a router, or an application. */
export function hasRoutes({ stack }: RouterParts): boolean {
  return stack.some(
    ({ route, handle }) => route !== undefined || isRouting(handle) || isMountedApplication(handle),
  )
}

/** What hands requests on by itself: routers and applications, of any version. */
export function isRouting(handler: unknown): handler is object {
  return typeof handler === 'function' && typeof (handler as { handle?: unknown }).handle === 'function'
}

/** The function that an application puts into its router for one that it mounts. */
function isMountedApplication(handler: unknown): boolean {
  return typeof handler === 'function' && handler.name === 'mounted_app'
}

/** As Express reads the arguments of `use`: a path, or a list of them, may come first. */
export function parseUse(args: readonly unknown[]): {
  readonly path: unknown
  readonly handlers: readonly unknown[]
} {
  const hasPath = typeof firstOf(args[0]) !== 'function'
  return {
    path: hasPath ? args[0] : '/',
    handlers: args.slice(hasPath ? 1 : 0).flat(Number.POSITIVE_INFINITY),
  }
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? firstOf(value[0]) : value
}
