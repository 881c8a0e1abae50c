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
import { followsRedirect, noteRedirect } from './redirects.js'
import { NO_ORIGIN, withPath } from './route.js'
import { type SessionRoute, sessionRoute } from './session-route.js'
import { type TakenBaggage, takeBaggage } from './stream-headers.js'

interface Propagated {
  readonly headers: unknown
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
export function propagatedHeaders(session: ClientHttp2Session, headers: unknown, sender: Sender): Propagated {
  const taken = takeBaggage(headers)
  const route = sessionRoute(session)
  const direct = route !== undefined && !route.shared
  if (taken === null || (!direct && isOfUndici(session))) return { headers, watch: UNWATCHED }
  if (direct && taken.written.length === 0 && !isTunnel(taken)) return decided(taken, route, sender)
  const others = sender.outbound(NO_ORIGIN).baggage(taken.lines, NO_ORIGIN, null) as string | undefined
  if (route?.shared === true && taken.written.length === 0) {
    const url = withPath(route.to, taken.get(':path') ?? '/')
    sender.outbound(url).bypassed(url)
  }
  const kept = others === undefined ? taken.written : [...taken.written, others]
  return { headers: taken.put(kept.length === 0 ? undefined : kept.join()), watch: UNWATCHED }
}

function decided(taken: TakenBaggage, route: SessionRoute, sender: Sender): Propagated {
  const path = taken.get(':path') ?? '/'
  const [url, asks] = [withPath(route.to, path), askedBy(taken, route, path)]
  const watched = sender.redirects === 'refuse' ? currentState() : null
  const follows = watched !== null && followsRedirect(watched, asks)
  const baggage = sender.outbound(url).baggage(taken.lines, url)
  if (isPromise(baggage)) {
    // Whether it could be stored or signed does not matter to this one any more.
    baggage.then(undefined, () => undefined)
    throw cannotWait(url)
  }
  if (follows && carriesPassport(baggage)) refuseRedirect(asks)
  return { headers: taken.put(baggage), watch: watched === null ? UNWATCHED : watching(watched, asks) }
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
