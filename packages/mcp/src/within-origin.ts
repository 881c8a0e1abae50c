import { KestError, takeLineageOut } from '@kest/core'
import type { Message, Transport } from './message.js'
import { carrierOf } from './meta.js'

/** `fetch`, as the SDK's transports call it. */
type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** What the transports of both lines have: how they get there, and whether redirects are left to that. */
interface HttpTransport {
  _fetch?: Fetch | undefined
  readonly _followRedirects?: boolean
  readonly _redirectPolicy?: string | undefined
}

/** As many are followed with lineage, as by the SDK. */
const MAX_REDIRECTS = 5
/** Those that ask for the same request again, elsewhere. */
const SAME_REQUEST: ReadonlySet<number> = new Set([307, 308])
const REDIRECT: ReadonlySet<number> = new Set([301, 302, 303, ...SAME_REQUEST])

/** Where a transport over HTTP leads, as those of the SDK have it. */
export function urlOf(transport: Transport | undefined): URL | null {
  const { _url: url } = (transport ?? {}) as { readonly _url?: unknown }
  return url instanceof URL ? url : null
}

/** Whether what answers there can send it elsewhere. A WebSocket's server cannot. */
export function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:'
}

/**
 * Keeps lineage within the origin that a transport leads to (K-REDIRECT): it is in a message's body, which `fetch` and the SDK send again
 * to wherever they are redirected. Within the origin it goes along; what goes elsewhere has none, and goes there as the transport would
 * have sent it. Another origin that is named, too, gets lineage by being connected to.
 *
 * @returns whether it is kept; not so over a transport of one's own, whose redirects cannot be seen
 */
export function keepWithinOrigin(transport: Transport, { origin }: URL): boolean {
  if (!Object.hasOwn(transport, '_fetch')) return false
  const http = transport as unknown as HttpTransport
  const { _fetch: own } = http
  const follows = http._followRedirects === true || http._redirectPolicy === 'follow'
  const dispatch: Fetch = (to, init) => (own ?? fetch)(to, init)
  http._fetch = async function kestFetch(to, init) {
    // Where it leaves redirects to its fetch, line 1 knows that fetch by identity, and this one not.
    const asked = follows && init?.redirect === 'manual' ? { ...init, redirect: 'follow' as const } : init
    return isCarrying(asked) ? send(dispatch, origin, new URL(to), asked) : dispatch(to, asked)
  }
  return true
}

async function send(dispatch: Fetch, origin: string, url: URL, init: RequestInit): Promise<Response> {
  if (url.origin !== origin) return dispatch(url, withoutLineage(init))
  const follows = init.redirect === undefined || init.redirect === 'follow'
  const once: RequestInit = follows ? { ...init, redirect: 'manual' } : init
  let to = url
  for (let followed = 0; ; followed++) {
    const response = await dispatch(to, once)
    assertNotFollowed(response, origin)
    if (!follows || !isRedirect(response)) return response
    const next = SAME_REQUEST.has(response.status) ? targetOf(response, to) : null
    await response.body?.cancel()
    if (next?.origin !== origin || followed === MAX_REDIRECTS) return dispatch(to, withoutLineage(init))
    to = next
  }
}

function isCarrying(init: RequestInit | undefined): init is RequestInit {
  const body = init?.body ?? ''
  if (typeof body !== 'string')
    throw new KestError(
      'ERR_KEST_OUTBOUND',
      'the body of an MCP request: expected text, whose lineage can be seen',
    )
  return body.includes('kest.')
}

/** The same request, and none of Kest's members in the `_meta` of its messages. */
function withoutLineage(init: RequestInit): RequestInit {
  const sent: Message | readonly Message[] = JSON.parse(String(init.body))
  const clean = (message: Message): Message => {
    const carrier = carrierOf(message)
    takeLineageOut(carrier.headers)
    return carrier.message()
  }
  const body = JSON.stringify(Array.isArray(sent) ? sent.map(clean) : clean(sent as Message))
  return { ...init, body }
}

function isRedirect({ type, status, headers }: Response): boolean {
  return type === 'opaqueredirect' || (REDIRECT.has(status) && headers.has('location'))
}

function targetOf({ headers }: Response, from: URL): URL | null {
  const location = headers.get('location') ?? ''
  return URL.canParse(location, from.href) ? new URL(location, from) : null
}

/** @throws {KestError} `ERR_KEST_OUTBOUND`: it cannot be undone, but is not passed over in silence */
function assertNotFollowed({ redirected, url }: Response, origin: string): void {
  if (redirected !== true || !URL.canParse(url) || new URL(url).origin === origin) return
  throw new KestError(
    'ERR_KEST_OUTBOUND',
    `the fetch of this transport went on to ${new URL(url).origin} with the passport, although it was told not to follow redirects (K-REDIRECT)`,
  )
}
