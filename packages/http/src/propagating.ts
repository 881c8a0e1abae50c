import type { ClientRequest } from 'node:http'
import {
  carriesPassport,
  contextOfNow,
  createPrivateSlot,
  currentState,
  type Departing,
  isPromise,
  KestError,
  type KestState,
  type MaybePromise,
  refuseRedirect,
  type Sender,
} from '@kest/core'
import { beforeFirstFlush } from './first-flush.js'
import { takeReceipt } from './held-answer.js'
import { followsRedirect, watchForRedirect } from './redirects.js'
import { isAbsoluteForm, NO_ORIGIN, type RequestOptions, type Route, routeOf } from './route.js'
import { checkWritten, writtenHeader } from './written-header.js'

/** On requests that are judged already, by whichever copy of this package. */
const MARK = Symbol.for('kest.http.request.1')

/** Told where a request goes that was judged, when an agent hands it on to another. */
const handedOn = createPrivateSlot<ClientRequest, (next: Route) => void>()

/** Whether somebody has judged it: an agent of Kest's, or the first of Node's that it was handed to. */
export function isJudged(request: ClientRequest): boolean {
  return Object.hasOwn(request, MARK)
}

/**
 * Puts the `baggage` of its caller on a request, at its first flush (F-CP-03, K-REDIRECT). Where it goes, and in whose
 * asynchronous context it is made, is looked at now: later, things run in that of whoever had the connection before
 * (K-AMBIENT). A request is judged once, by whoever comes first. If agents hand it on to others, it goes where the last one takes it.
 *
 * @param options that the request was made with
 * @param agent that it goes through
 */
export function propagate(
  request: ClientRequest,
  options: RequestOptions,
  agent: unknown,
  sender: Sender,
): void {
  if (isJudged(request)) {
    handedOn.get(request)?.(routeOf(request, options, agent))
    return
  }
  Object.defineProperty(request, MARK, { value: true })
  let route = routeOf(request, options, agent)
  let { path } = request
  let carries = false
  const own = contextOfNow()
  const state = sender.state ?? currentState()
  const watched = sender.redirects === 'refuse' ? state : null
  if (watched !== null) watchForRedirect(request, watched, route.asks)

  function bodyLimit(): number | null {
    // A tunnel is asked of the proxy, which is nobody's next hop.
    if (request.method === 'CONNECT') return null
    const url = route.to ?? NO_ORIGIN
    return own(() => sender.outbound(url).bodyLimit(url))
  }

  function decide(
    lines: readonly string[],
    body: readonly Uint8Array[] | undefined,
  ): MaybePromise<string | undefined> {
    // What rewrites a path on its way to a proxy did not say that it goes to one.
    const rewritten = isAbsoluteForm(request.path) && !isAbsoluteForm(path)
    const follows = watched !== null && followsRedirect(watched, route.asks)
    const to = route
    const departing = own(() =>
      depart(lines, { request, body }, rewritten ? { ...to, unclear: true } : to, state, sender),
    )
    const judged = ({ baggage, receipt }: Departing): string | undefined => {
      carries = carriesPassport(baggage)
      if (follows && carries) refuseRedirect(to.asks)
      if (carries && route !== to) own(() => assertReaches(route, sender))
      if (receipt !== null) takeReceipt(request, receipt, own)
      return baggage
    }
    return isPromise(departing) ? departing.then(judged) : judged(departing)
  }

  handedOn.set(request, (next) => {
    if (isSameWay(route, next)) return
    route = next
    path = request.path
    if (!carries) return
    try {
      own(() => assertReaches(next, sender))
    } catch (error) {
      request.destroy(error as Error)
    }
  })

  const header = writtenHeader(request)
  if (header !== null) checkWritten(request, header, (lines) => decide(lines, []))
  else {
    const prepare = (body: readonly Uint8Array[] | undefined): MaybePromise<void> =>
      putBaggage(request, (lines) => decide(lines, body))
    beforeFirstFlush(request, { bodyLimit, prepare })
  }
}

function isSameWay(a: Route, b: Route): boolean {
  return a.to?.origin === b.to?.origin && a.unclear === b.unclear
}

/** @throws {KestError} `ERR_KEST_OUTBOUND` where a request that has the passport already may not go with it */
function assertReaches({ to, unclear }: Route, sender: Sender): void {
  const url = to ?? NO_ORIGIN
  if (!unclear && sender.outbound(url).allows(url)) return
  throw new KestError(
    'ERR_KEST_OUTBOUND',
    `request to ${url.origin}: its agent handed it on to another, and that goes where no passport may (K-SCOPE)`,
  )
}

function putBaggage(
  request: ClientRequest,
  decide: (lines: readonly string[]) => MaybePromise<string | undefined>,
): MaybePromise<void> {
  const given = request.getHeader('baggage')
  const lines = given === undefined ? [] : [given].flat().map(String)
  const put = (baggage: string | undefined): void => {
    if (baggage !== undefined) request.setHeader('baggage', baggage)
    else if (given !== undefined) request.removeHeader('baggage')
  }
  const baggage = decide(lines)
  return isPromise(baggage) ? baggage.then(put) : put(baggage)
}

/** What is sent: the body, where that has to be known. */
interface Sent {
  readonly request: ClientRequest
  readonly body: readonly Uint8Array[] | undefined
}

function depart(
  lines: readonly string[],
  { request: { method, path }, body }: Sent,
  { to, unclear }: Route,
  state: KestState | null,
  sender: Sender,
): MaybePromise<Departing> {
  const url = to ?? NO_ORIGIN
  const outbound = sender.outbound(url)
  // A tunnel is asked of the proxy, which is nobody's next hop.
  if (method === 'CONNECT') return outbound.depart(lines, url, null)
  if (!unclear) return outbound.depart(lines, url, undefined, { method, path, body })
  if (state !== null && state.frame.lineage.length > 0 && outbound.allows(url)) {
    throw new KestError(
      'ERR_KEST_OUTBOUND',
      `request to ${url.origin}: its agent hands it to a proxy, and does not say to which (K-SCOPE)`,
    )
  }
  return outbound.depart(lines, NO_ORIGIN)
}
