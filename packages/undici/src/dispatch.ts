import {
  carriesPassport,
  contextOfNow,
  type Departing,
  type InContext,
  isPromise,
  KestError,
  type MaybePromise,
  refuseRedirect,
  type Sender,
  withoutKestBaggage,
} from '@kest/core'
import { context } from '@opentelemetry/api'
import { type Bound, bindable } from './bound.js'
import { type Dispatch, type DispatchHandler, type DispatchOptions, refuse } from './dispatcher.js'
import { takeBaggage } from './headers.js'
import { type Around, bodyInOwnContext, inOwnContext } from './own-context.js'
import { PASSPORT_GUARD } from './passport-guard.js'
import { takingReceipt } from './receipts.js'
import { currentCall, watchRedirects } from './redirects.js'
import { targetOf } from './target.js'

interface Prepared {
  readonly options: DispatchOptions
  readonly handler: DispatchHandler
}

/**
 * Puts the `baggage` of this moment on each request that goes through `dispatch` (F-CP-03, K-REDIRECT).
 *
 * Everything is read here, in the caller's asynchronous context: a pool may write the request in another's. There, too,
 * the handler and the code of a body run, whoever is served by the same connection. What cannot be sent is not, and the
 * handler is told why. With a claim check the request leaves when the passport is stored.
 */
export function propagating(dispatch: Dispatch, sender: Sender, origin: URL | null): Dispatch {
  // undici wants exactly two parameters.
  return function kestDispatch(options, handler) {
    if (typeof handler?.onResponseError !== 'function' && typeof handler?.onError !== 'function') {
      throw new TypeError('dispatch: expected a handler with onResponseError or onError')
    }
    currentCall()?.noteDispatch()
    const own = contextOfNow()
    let request: MaybePromise<Prepared>
    try {
      request = prepare(options, handler, sender, origin, own)
    } catch (error) {
      refuse(inOwnContext(handler, own), error)
      return true
    }
    const send = (request: Prepared): boolean => inCleanContext(dispatch, request.options, request.handler)
    if (!isPromise(request)) return send(request)
    request.then(send).catch((error) => refuse(inOwnContext(handler, own), error))
    return true
  }
}

function prepare(
  options: DispatchOptions,
  handler: DispatchHandler,
  sender: Sender,
  origin: URL | null,
  own: InContext,
): MaybePromise<Prepared> {
  if (typeof options !== 'object' || options === null) {
    throw new KestError('ERR_KEST_OUTBOUND', 'dispatch: expected an object of options')
  }
  const url = targetOf(options, origin)
  const outbound = sender.outbound(url)
  // A tunnel is asked of the proxy, which is nobody's next hop.
  const state = options.method === 'CONNECT' ? null : undefined
  const limit = outbound.bodyLimit(url, state)
  const { lines, put } = takeBaggage(options.headers)
  const watch = sender.redirects === 'refuse' ? watchRedirects(own, options, url, sender.state) : null
  const finish = ({ baggage, receipt }: Departing, given: DispatchOptions): Prepared => {
    const carries = carriesPassport(baggage)
    if (carries && watch?.follows === true) refuseRedirect(url)
    const around: Around[] = watch === null ? [] : [watch.around]
    if (carries) around.push(PASSPORT_GUARD)
    if (receipt !== null && isHandedOver(options)) receipt.unavailable('a connection that is handed over')
    else if (receipt !== null)
      around.push(takingReceipt(receipt, (error) => refuse(inOwnContext(handler, own), error)))
    const [headers, body] = [put(baggage), bodyInOwnContext(given.body, own)]
    return {
      options: headers === given.headers && body === given.body ? given : { ...given, headers, body },
      handler: inOwnContext(handler, watch?.own ?? own, around),
    }
  }
  const ask = ({ sent, options }: Bound): MaybePromise<Prepared> => {
    const departing = own(() => outbound.depart(lines, url, state, sent))
    return isPromise(departing)
      ? departing.then((value) => finish(value, options))
      : finish(departing, options)
  }
  if (outbound.binds.size === 0) return ask({ sent: undefined, options })
  const bound = bindable(options, limit, own)
  return isPromise(bound) ? bound.then(ask) : ask(bound)
}

/** An upgrade's answer goes to whoever asked for it, and no handler of an answer. */
function isHandedOver({ upgrade }: DispatchOptions & { readonly upgrade?: unknown }): boolean {
  return upgrade !== undefined && upgrade !== null && upgrade !== false
}

/** Instrumentation below injects OpenTelemetry's Baggage of the context that it runs in (K-AMBIENT). */
function inCleanContext(dispatch: Dispatch, ...args: Parameters<Dispatch>): boolean {
  const active = context.active()
  const clean = withoutKestBaggage(active)
  return clean === active ? dispatch(...args) : context.with(clean, dispatch, undefined, ...args)
}
