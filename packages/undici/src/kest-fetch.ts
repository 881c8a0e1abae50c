import {
  assertOptions,
  type BoundRule,
  createSender,
  currentState,
  isPromise,
  KestConfigError,
  ownProperties,
  type Sender,
} from '@kest/core'
import { type Dispatchable, isDispatchable } from './dispatcher.js'
import type { FetchCall } from './fetch-call.js'
import { globalDispatcher, withGlobalDispatchers } from './global-dispatcher.js'
import { asOneCall, currentCall } from './redirects.js'
import { dispatcherOfRequest } from './request-dispatcher.js'
import { withSender } from './with-kest.js'

/** A fetch that takes a dispatcher in its init: Node's, or that of the package undici. */
export type FetchFunction = (...args: never) => Promise<unknown>

export interface KestFetchOptions<F extends FetchFunction = typeof globalThis.fetch> extends BoundRule {
  /** What to wrap. Default: the global one, as it is now. */
  readonly fetch?: F | undefined
}

/**
 * Makes a `fetch` whose requests carry the passport (F-CP-03). Its results, its errors and its arguments are those of
 * the one that it wraps; a dispatcher in `init` is used, and the global one where there is none.
 *
 * A redirect never takes the passport along (K-REDIRECT): a request that follows one and would carry it is refused, unless
 * `redirects` says otherwise. With `redirect: 'manual'` the 3xx is the answer, as ever.
 *
 * So is the dispatcher of `new Request(url, { dispatcher })`; but where nobody can see that one (undici ≥ 7, and so Node
 * ≥ 24), it is used as it is, and its requests carry a passport only if it was made by `withKest`. They, and those of a
 * `fetch` that knows no dispatchers, are counted (`kest.outbound.bypassed`) and warned of.
 *
 * @param options.fetch what to wrap; default the global one, as it is now
 * @param options.propagateTo which origins receive the passport; required (K-SCOPE)
 * @param options.hop whether each request carries a token of the sender (K-HOP); default `false`
 * @param options.kest default: the instance of `configure()`, as it is at the time of each request
 * @param options.redirects whether redirects are followed with a passport; default `'refuse'`
 * @param options.state whose passport; default: that of the ambient state of each request
 * @throws {KestConfigError} for options that are missing, unknown or wrong. A call whose request must not be sent
 *   rejects with `TypeError: fetch failed`, and the `KestError` as its `cause`
 *
 * @example
 * ```ts
 * const fetch = createKestFetch({ propagateTo: ['http://hop2:8000'] })
 * const response = await fetch('http://hop2:8000/orders')
 * ```
 */
export function createKestFetch<F extends FetchFunction = typeof globalThis.fetch>(
  options: KestFetchOptions<F>,
): F {
  assertOptions('createKestFetch', options, ['fetch', 'propagateTo', 'hop', 'kest', 'redirects', 'state'])
  const { fetch = globalThis.fetch } = options
  if (typeof fetch !== 'function') throw new KestConfigError('fetch: expected a function')
  return fetchThrough(createSender(options), fetch as F)
}

/** `fetch` with a dispatcher of ours in each call, as long as it is told so. Otherwise it changes nothing. */
export function fetchThrough<F extends FetchFunction>(
  sender: Sender,
  fetch: F,
  enabled: () => boolean = () => true,
): F {
  const original = fetch as unknown as (...args: unknown[]) => Promise<unknown>
  const wrap = <D extends Dispatchable>(dispatcher: D): D => withSender(dispatcher, sender)
  const overGlobal = wrap(globalDispatcher)

  function kestFetch(this: unknown, ...args: unknown[]): Promise<unknown> {
    if (!enabled()) return original.apply(this, args)
    const [input, init, ...rest] = args
    try {
      const given = dispatcherOf(init) ?? dispatcherOfRequest(input)
      return noticing(sender, input, (call) => {
        if (given === undefined) {
          const wrapForCall = <D extends Dispatchable>(dispatcher: D): D =>
            duringCall(call, dispatcher, wrap(dispatcher))
          return withGlobalDispatchers(wrapForCall, () => original.apply(this, args))
        }
        const dispatcher = given === null ? overGlobal : wrap(given)
        return original.call(this, input, withDispatcher(init, dispatcher), ...rest)
      }) as Promise<unknown>
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return Object.defineProperties(kestFetch, ownProperties(fetch)) as unknown as F
}

/**
 * `ours` for what is dispatched of one call, and `dispatcher` for everything else. Whoever looks at the global dispatcher
 * meanwhile may keep what is there, as `compose()` does: it must not put one caller's passport on everybody's requests.
 */
function duringCall<D extends Dispatchable>(call: FetchCall, dispatcher: D, ours: D): D {
  const dispatch: D['dispatch'] = (options, handler) =>
    (call.covers(currentCall()) ? ours : dispatcher).dispatch(options, handler)
  return new Proxy(ours, {
    get: (target, key) => (key === 'dispatch' ? dispatch : Reflect.get(target, key)),
  })
}

/** Makes one call, and says when it was answered without having come past a dispatcher of ours. */
function noticing(sender: Sender, input: unknown, make: (call: FetchCall) => unknown): unknown {
  return asOneCall((call) => {
    const answer = make(call)
    // A mock may answer anything.
    if (!isPromise(answer)) return answer
    return answer.then(
      (response) => {
        call.end()
        if (!call.dispatched) sayBypassed(sender, input)
        return response
      },
      (error) => {
        call.end()
        throw error
      },
    )
  })
}

/** Without a state it had no passport to carry. */
function sayBypassed(sender: Sender, input: unknown): void {
  const isRequest = typeof input === 'object' && input !== null && 'url' in input
  const text = String(isRequest ? input.url : input)
  if ((sender.state ?? currentState()) === null || !URL.canParse(text)) return
  const url = new URL(text)
  sender.outbound(url).bypassed(url)
}

/** As fetch reads it: what is falsy is not there. */
function dispatcherOf(init: unknown): Dispatchable | undefined {
  if (init === undefined || init === null) return undefined
  if (typeof init !== 'object' && typeof init !== 'function')
    throw new TypeError('fetch: init must be an object')
  const { dispatcher } = init as { readonly dispatcher?: unknown }
  if (!dispatcher) return undefined
  if (!isDispatchable(dispatcher)) throw new TypeError('fetch: init.dispatcher must have a method dispatch()')
  return dispatcher
}

/** A `Request` may be the init too: its members are inherited, and can be read on itself only. */
function withDispatcher(init: unknown, dispatcher: Dispatchable): object {
  const prototype: unknown = init === undefined || init === null ? null : Object.getPrototypeOf(init)
  if (prototype === null || prototype === Object.prototype) return { ...(init as object | null), dispatcher }
  return new Proxy(init as object, {
    get: (target, key) => (key === 'dispatcher' ? dispatcher : Reflect.get(target, key)),
  })
}
