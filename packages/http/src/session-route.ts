import type { ClientHttp2Session } from 'node:http2'
import { createPrivateSlot } from '@kest/core'
import { originAt } from './route.js'

/** Where the streams of a session of HTTP/2 go. */
export interface SessionRoute {
  /** Who reads them; `null` for what cannot be named by an origin. */
  readonly to: URL | null
  /** Whom they ask, in the words of whoever connected. */
  readonly asks: URL | null
  /**
   * Whether it was connected by `createConnection`, as libraries do that share it among their callers: those ask for streams
   * in the asynchronous context of whoever opened or freed the connection (K-AMBIENT).
   */
  readonly shared: boolean
}

type Told = Readonly<Record<string, unknown>>

const routes = createPrivateSlot<ClientHttp2Session, SessionRoute>()

/** Notes the route of a session, by the arguments of the `connect` that made it. */
export function noteRoute(session: ClientHttp2Session, [authority, options]: readonly unknown[]): void {
  routes.set(session, routeOfSession(authority, options))
}

/** `undefined` of a session that was connected past Kest. */
export function sessionRoute(session: ClientHttp2Session): SessionRoute | undefined {
  return routes.get(session)
}

/**
 * As Node reads them: its options override where the authority says, also by nothing. `servername` and the pseudo-header
 * `:authority` name somebody, and move nothing.
 */
export function routeOfSession(authority: unknown, given: unknown): SessionRoute {
  const options = (typeof given === 'object' && given !== null ? given : {}) as Told
  const asked = (typeof authority === 'string' ? new URL(authority) : authority) as Told
  const protocol = String(asked['protocol'] || options['protocol'] || 'https:')
  const port = asked['port'] === '' ? (asked['protocol'] === 'http:' ? 80 : 443) : asked['port']
  const host = asked['hostname'] || asked['host']
  const told = (name: string, otherwise: unknown): unknown =>
    Object.hasOwn(options, name) ? options[name] : otherwise
  const to = originAt(protocol, told('host', host), told('port', port))
  return {
    to: told('path', undefined) ? null : to,
    asks: originAt(protocol, host, port),
    shared: typeof options['createConnection'] === 'function',
  }
}
