import {
  assertOptions,
  type BoundRule,
  boundMethods,
  createSender,
  KestConfigError,
  type Sender,
  standIn,
} from '@kest/core'
import { destinationOf } from './destination.js'
import { propagating } from './dispatch.js'
import { type Dispatchable, dispatchOf, isDispatchable } from './dispatcher.js'
import { parseOrigin } from './target.js'

/** Options of {@link withKest} and of {@link kestInterceptor}. */
export interface DispatcherOptions extends BoundRule {
  /**
   * Where the dispatcher goes, when it goes to one place. Requests that name another origin are refused then. Default:
   * of a `Client` or a `Pool` that `withKest` is given, its own; else each request says it.
   */
  readonly origin?: string | URL | undefined
}

/** @throws {KestConfigError} naming the option that is missing, unknown or wrong */
export function resolveDispatcherOptions(
  where: string,
  options: DispatcherOptions,
): { readonly sender: Sender; readonly origin: URL | null } {
  assertOptions(where, options, ['propagateTo', 'hop', 'kest', 'redirects', 'state', 'origin'])
  const origin = options.origin === undefined ? null : parseOrigin(options.origin)
  return { sender: createSender(options), origin }
}

/**
 * Wraps a dispatcher so that its requests carry the passport (F-CP-03). Give the result wherever undici or `fetch`
 * takes a dispatcher: `setGlobalDispatcher`, `init.dispatcher`, `compose()`, or call its own `request()`.
 *
 * It is the dispatcher that was given, but for `dispatch`. Wrap the innermost one, and compose around it: what follows
 * redirects must be outside (K-REDIRECT), or its redirects are refused. What joins or caches answers must be inside, where
 * it sees the passport. As with `compose()`, methods run on the
 * wrapper; `close` and `destroy` run on the dispatcher itself.
 *
 * @param options.propagateTo which origins receive the passport; required (K-SCOPE)
 * @param options.hop whether each request carries a token of the sender (K-HOP); default `false`
 * @param options.kest default: the instance of `configure()`, as it is at the time of each request
 * @param options.state whose passport; default: that of the ambient state of each request
 * @param options.redirects whether redirects are followed with a passport; default `'refuse'`
 * @param options.origin where the dispatcher goes, when it goes to one place and is no `Client` or `Pool` itself
 * @throws {KestConfigError} for options that are missing, unknown or wrong. A request that must not be sent fails with
 *   a `KestError`: `ERR_KEST_TOO_LARGE`, `ERR_KEST_CACHE`, `ERR_KEST_OUTBOUND`, `ERR_KEST_BAGGAGE`, `ERR_KEST_IDENTITY`,
 *   `ERR_KEST_CONFIG`
 *
 * @example
 * ```ts
 * setGlobalDispatcher(withKest(new Agent(), { propagateTo: ['http://hop2:8000'] }))
 * ```
 */
export function withKest<D extends Dispatchable>(dispatcher: D, options: DispatcherOptions): D {
  if (!isDispatchable(dispatcher)) throw new KestConfigError('withKest: expected a dispatcher')
  const { sender, origin } = resolveDispatcherOptions('withKest', options)
  return withSender(dispatcher, sender, destinationOf(dispatcher, origin))
}

/** {@link withKest} with a rule that was checked. */
export function withSender<D extends Dispatchable>(
  dispatcher: D,
  sender: Sender,
  origin: URL | null = null,
): D {
  return standIn(dispatcher, {
    dispatch: propagating(dispatchOf(dispatcher), sender, origin),
    ...boundMethods(dispatcher, ['close', 'destroy']),
  })
}
