import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { createPrivateSlot, isRedirect, type KestState, RedirectsSeen } from '@kest/core'

/** Clients on top of node:http follow redirects in a listener of the response, and do not say so. */
const seen = new RedirectsSeen()
const watched = createPrivateSlot<ClientRequest, { readonly state: KestState; readonly url: URL }>()
let listening = false

/** Notes where the answer to a request of this state points, before anybody hears of it. */
export function watchForRedirect(request: ClientRequest, state: KestState, url: URL): void {
  watched.set(request, { state, url })
  if (listening) return
  listening = true
  subscribe('http.client.response.finish', (message) => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage }
    const made = watched.get(request)
    const { location } = response.headers
    if (made === undefined || location === undefined || !isRedirect(response.statusCode)) return
    noteRedirect(made.state, made.url, location)
  })
}

/** Notes where an answer to a request of this state points. */
export function noteRedirect(state: KestState, url: URL, location: string): void {
  seen.note(state, url, [location])
}

/** Whether a request of this state goes to where an answer to another has pointed; asked once for each. */
export function followsRedirect(state: KestState, url: URL): boolean {
  return seen.take(state, url)
}
