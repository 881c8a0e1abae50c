import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import {
  carriesPassport,
  currentState,
  isPromise,
  isRedirect,
  KestError,
  type KestState,
  refuseRedirect,
  type Sender,
} from '@kest/core'
import { takeStreamReceipt } from './held-stream.js'
import { followsRedirect, noteRedirect } from './redirects.js'
import { NO_ORIGIN, withPath } from './route.js'
import { type SessionRoute, sessionRoute } from './session-route.js'
import { type TakenBaggage, takeBaggage } from './stream-headers.js'

interface Propagated {
  readonly headers: unknown
  /** What else the stream is asked for with. */
  readonly options: unknown
  /** Looks at the answer, before others do. */
  readonly watch: (stream: ClientHttp2Stream) => void
}

const UNWATCHED = (): void => {}

/**
 * The headers with which a stream is asked for (F-CP-03, K-REDIRECT), of whoever asks. Node writes them at once, so that
 * nothing can be waited for.
 *
 * What Kest has written already for another adapter is left as it is. Sessions that a library shares get nothing added:
 * in whose context it asks for a stream is not known (K-AMBIENT). undici keeps to its own sessions, and `@kest/undici` to them.
 *
 * @throws {KestError} the stream must not be asked for: as `Outbound.baggage`, and `ERR_KEST_OUTBOUND` for what would have to
 *   be waited for, and for a redirect that would be followed with a passport
 */
export function propagatedHeaders(
  session: ClientHttp2Session,
  headers: unknown,
  options: unknown,
  sender: Sender,
): Propagated {
  const taken = takeBaggage(headers)
  const route = sessionRoute(session)
  const direct = route !== undefined && !route.shared
  if (taken === null || (!direct && isOfUndici(session))) return { headers, options, watch: UNWATCHED }
  if (direct && taken.written.length === 0 && !isTunnel(taken)) return decided(taken, options, route, sender)
  const others = sender.outbound(NO_ORIGIN).baggage(taken.lines, NO_ORIGIN, null) as string | undefined
  if (route?.shared === true && taken.written.length === 0) {
    const url = withPath(route.to, taken.get(':path') ?? '/')
    sender.outbound(url).bypassed(url)
  }
  const kept = others === undefined ? taken.written : [...taken.written, others]
  return { headers: taken.put(kept.length === 0 ? undefined : kept.join()), options, watch: UNWATCHED }
}

function decided(taken: TakenBaggage, options: unknown, route: SessionRoute, sender: Sender): Propagated {
  const path = taken.get(':path') ?? '/'
  const [url, asks] = [withPath(route.to, path), askedBy(taken, route, path)]
  const watched = sender.redirects === 'refuse' ? currentState() : null
  const follows = watched !== null && followsRedirect(watched, asks)
  const outbound = sender.outbound(url)
  const bodiless = outbound.bodyLimit(url) === null ? options : withoutBody(taken, options, url)
  const sent = { method: taken.get(':method') ?? 'GET', path, body: null }
  const departing = outbound.depart(taken.lines, url, undefined, sent)
  if (isPromise(departing)) {
    // Whether it could be stored or signed does not matter to this one any more.
    departing.then(undefined, () => undefined)
    throw cannotWait(url)
  }
  const { baggage, receipt } = departing
  if (follows && carriesPassport(baggage)) refuseRedirect(asks)
  if (receipt !== null && taken.get(':method') === 'CONNECT')
    receipt.unavailable('a connection that is handed over')
  const watch = watched === null ? UNWATCHED : watching(watched, asks)
  const hold = (stream: ClientHttp2Stream): void => {
    watch(stream)
    if (receipt !== null) takeStreamReceipt(stream, receipt)
  }
  return { headers: taken.put(baggage), options: bodiless, watch: receipt === null ? watch : hold }
}

/** Those of which Node takes it that they have no body. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE'])

/** @throws {KestError} `ERR_KEST_OUTBOUND` for a stream that is to be written to */
function withoutBody(taken: TakenBaggage, options: unknown, url: URL): unknown {
  const { endStream = BODILESS.has(taken.get(':method') ?? 'GET') } = (options ?? {}) as {
    endStream?: unknown
  }
  if (endStream === true) return { ...(options as object | undefined), endStream }
  throw new KestError(
    'ERR_KEST_OUTBOUND',
    `request to ${url.origin}: its hop token is bound to its body, and a stream of node:http2 sends its header before: await kest.inject(headers, url, { hop, method, body }) before, and mark it by markWritten (K-BODY)`,
  )
}

/** A tunnel is asked of the proxy, which is nobody's next hop; a WebSocket is not one. */
function isTunnel(taken: TakenBaggage): boolean {
  return taken.get(':method') === 'CONNECT' && taken.get(':protocol') === undefined
}

function askedBy(taken: TakenBaggage, { asks }: SessionRoute, path: string): URL {
  const authority = taken.get(':authority') ?? taken.get('host')
  if (authority === undefined) return withPath(asks, path)
  const text = `${taken.get(':scheme') ?? asks?.protocol.slice(0, -1)}://${authority}`
  return withPath(URL.canParse(text) ? new URL(text) : asks, path)
}

function watching(state: KestState, asks: URL): Propagated['watch'] {
  return (stream) => {
    stream?.prependListener?.('response', ({ ':status': status, location }) => {
      if (location !== undefined && isRedirect(status)) noteRedirect(state, asks, location)
    })
  }
}

/** It keeps its client on them, under a symbol of this description. */
function isOfUndici(session: ClientHttp2Session): boolean {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'client')
  const client: unknown = symbol === undefined ? undefined : Reflect.get(session, symbol)
  return typeof (client as { readonly dispatch?: unknown } | null | undefined)?.dispatch === 'function'
}

function cannotWait(url: URL): KestError {
  return new KestError(
    'ERR_KEST_OUTBOUND',
    `request to ${url.origin}: its passport has to be waited for (a cache, or a signer that is not local), and a stream of node:http2 cannot wait: await kest.inject({}, url) before`,
  )
}
