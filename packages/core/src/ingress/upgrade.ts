import type { IncomingMessage, ServerResponse } from 'node:http'

/** Requests that were seen to, by whichever of an adapter's parts came first. */
const seen = new WeakSet<IncomingMessage>()

/**
 * Sees to it that a request to upgrade the connection leaves none behind when it is answered by a response instead: it is
 * refused, matches no route, or fails. Node has taken its parser off such a connection by then (`'upgrade'` of
 * `node:http`), and its listener for errors too, so that the connection can serve no second request, nobody would close
 * it, and a client that resets it would end the process.
 *
 * Does nothing for other requests, nothing to an upgrade that succeeds, which writes to the socket itself, and nothing when it
 * is called again.
 */
export function closeAnsweredUpgrade(request: IncomingMessage, response: ServerResponse): void {
  const { socket, upgrade } = request as IncomingMessage & { readonly upgrade?: boolean }
  if (upgrade !== true || typeof socket?.destroySoon !== 'function' || seen.has(request)) return
  seen.add(request)
  response.shouldKeepAlive = false
  socket.on('error', () => socket.destroy())
  response.once('finish', () => socket.destroySoon())
}
