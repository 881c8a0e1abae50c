import { propagating } from './dispatch.js'
import type { Dispatch } from './dispatcher.js'
import { type DispatcherOptions, resolveDispatcherOptions } from './with-kest.js'

/** What `compose()` takes: makes a dispatch function of one. */
export type KestInterceptor = <F extends (options: never, handler: never) => boolean>(dispatch: F) => F

/**
 * {@link withKest} as an interceptor for undici's `compose()`, where each interceptor wraps those before it:
 * `compose(dns, kest, retry, redirect)`. What follows redirects comes after Kest, so that Kest is asked for each hop;
 * before it, its redirects are refused (K-REDIRECT). What replaces the host by an address comes before.
 *
 * @param options as for {@link withKest}. An interceptor does not see what it is composed on: on a `Client` or a `Pool`,
 *   which send every request to their one place, state `origin`, or a request that names another is judged by that one.
 * @throws {KestConfigError} for options that are missing, unknown or wrong
 *
 * @example
 * ```ts
 * const agent = new Agent().compose(kestInterceptor({ propagateTo: ['https://*.svc.local'] }), interceptors.redirect())
 * ```
 */
export function kestInterceptor(options: DispatcherOptions): KestInterceptor {
  const { sender, origin } = resolveDispatcherOptions('kestInterceptor', options)
  return <F extends (options: never, handler: never) => boolean>(dispatch: F) =>
    propagating(dispatch as unknown as Dispatch, sender, origin) as unknown as F
}
