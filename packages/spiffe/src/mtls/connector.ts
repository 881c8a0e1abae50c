import { isIP, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { SpiffeError } from '../errors.js'
import type { X509Svid } from '../svid/x509-svid.js'
import { assertPeer, assertRules, type MtlsSource, type PeerRules } from './peer-rules.js'
import { contextOptionsOf } from './secure-context.js'

/** How a connector is made. */
export interface ConnectorRules extends PeerRules {
  /** For connecting and the handshake, milliseconds. Default 10,000. */
  readonly timeoutMs?: number
  /** ALPN protocols that are offered. Default `['http/1.1']`. */
  readonly protocols?: readonly string[]
}

/** Where to connect, as undici and `node:https` say it. */
export interface ConnectTarget {
  readonly hostname?: string | null | undefined
  readonly host?: string | null | undefined
  readonly port?: number | string | null | undefined
  readonly protocol?: string | null | undefined
  readonly servername?: string | null | undefined
  readonly localAddress?: string | null | undefined
  /** A connection that is there, through a proxy. */
  readonly httpSocket?: Socket | undefined
}

/** As undici has it. */
const KEEP_ALIVE_MS = 60_000

/** Connects; for undici's `connect` and the `createConnection` of `node:https`, which tell the result in their own ways. */
export interface MtlsConnector {
  (target: ConnectTarget, connected: Connected): undefined
  (target: ConnectTarget, connected: (error: Error | null, socket: TLSSocket) => void): undefined
}

type Connected = (...result: [error: null, socket: TLSSocket] | [error: Error, socket: null]) => void

/**
 * Makes what undici's `Agent` takes as `connect`, and `https.request` as `createConnection`: TLS connections that show the
 * identity of `source`, to peers with an X.509-SVID that verifies against the bundle of its own trust domain and that
 * `authorize` allows. Nothing is sent to any other. The name in the URL is *not* looked for in the certificate: the
 * authorizer says who it must be.
 *
 * Certificates rotate without a restart: a connection shows those that `source` has when it begins. A connection that was
 * made stays, also when certificates expire later. The peer is what `peerOf(socket)` of `@kest/core` answers.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG`. Connecting fails with what `source.current()` throws, `ERR_SPIFFE_PEER`,
 *   `ERR_SPIFFE_TIMEOUT`, what verifying throws, or Node's own error.
 *
 * @example
 * ```ts
 * const connect = createMtlsConnector(source, { authorize: oneOf('spiffe://example.org/orders') })
 * setGlobalDispatcher(withKest(new Agent({ connect }), { propagateTo: ['https://orders:8443'] }))
 * ```
 */
export function createMtlsConnector(source: MtlsSource, rules: ConnectorRules): MtlsConnector {
  assertRules(source, rules, ['timeoutMs', 'protocols'])
  const { timeoutMs = 10_000, protocols = ['http/1.1'] } = rules
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1)
    throw wrong(`timeoutMs: expected a positive integer, got ${String(timeoutMs)}`)
  const contextOf = contexts()

  function kestConnect(target: ConnectTarget, connected: Connected): undefined {
    let socket: TLSSocket
    try {
      socket = connect({
        ...addressOf(target),
        secureContext: contextOf(source.current()),
        rejectUnauthorized: false,
        ALPNProtocols: [...protocols],
      })
    } catch (error) {
      process.nextTick(() => connected(error as Error, null))
      return
    }
    const timer = setTimeout(() => {
      socket.destroy(new SpiffeError('ERR_SPIFFE_TIMEOUT', `no TLS connection within ${timeoutMs} ms`))
    }, timeoutMs)
    const settle = (error: Error | null): void => {
      clearTimeout(timer)
      socket.off('error', settle)
      socket.off('close', gone)
      if (error === null) connected(null, socket)
      else connected(error, null)
    }
    const gone = (): void => settle(new SpiffeError('ERR_SPIFFE_PEER', 'the peer closed the connection'))
    socket.once('error', settle)
    socket.once('close', gone)
    socket.once('secureConnect', () => {
      let refusal: Error | null = null
      try {
        assertPeer(socket, source, rules)
      } catch (error) {
        refusal = error as Error
      }
      if (refusal === null) socket.setNoDelay().setKeepAlive(true, KEEP_ALIVE_MS)
      else socket.destroy()
      settle(refusal)
    })
  }
  // node:https types a socket also beside an error, and looks at none.
  return kestConnect as MtlsConnector
}

/** One context for each SVID, made when it is first shown. */
function contexts(): (svid: X509Svid) => SecureContext {
  let last: { readonly svid: X509Svid; readonly context: SecureContext } | undefined
  return (svid) => {
    if (last?.svid !== svid) last = { svid, context: createSecureContext(contextOptionsOf(svid)) }
    return last.context
  }
}

/** Member by member: `node:https` has the path of the URL where Node would look for a Unix socket. */
function addressOf(target: ConnectTarget): ConnectionOptions {
  const { hostname, port, protocol, servername, localAddress, httpSocket } = target
  if (protocol !== undefined && protocol !== null && protocol !== 'https:')
    throw new SpiffeError('ERR_SPIFFE_PEER', `mTLS is for https: URLs, not ${protocol}`)
  const host = (hostname || target.host || 'localhost').replace(/^\[(.*)\]$/, '$1')
  const name = servername || host
  return {
    ...(httpSocket === undefined ? { host, port: Number(port || 443) } : { socket: httpSocket }),
    ...(localAddress && { localAddress }),
    // An address is no server name (RFC 6066 §3).
    servername: isIP(name) === 0 ? name : '',
  }
}

function wrong(why: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_CONFIG', `mTLS: ${why}`)
}
