import type { Server, TLSSocket, TlsOptions } from 'node:tls'
import type { X509Svid } from '../svid/x509-svid.js'
import { assertPeer, assertRules, type MtlsSource, type PeerRules } from './peer-rules.js'
import { CONTEXT_OPTIONS, contextOptionsOf } from './secure-context.js'

/** Node asks for the peer's certificate and leaves it to us to judge it. Without a key of its own it talks to nobody. */
const SERVER_OPTIONS: Readonly<TlsOptions> = Object.freeze({
  ...CONTEXT_OPTIONS,
  requestCert: true,
  rejectUnauthorized: false,
})

/**
 * Makes a TLS server that shows the identity of `source`, and lets nobody in but peers with an X.509-SVID that verifies
 * against the bundle of its own trust domain and that `authorize` allows.
 *
 * Each connection is judged when its handshake is done, before anything of it reaches the server's own handlers; sessions
 * are not resumed. Who is refused is told to `'tlsClientError'`, and sees the connection close. Certificates rotate without
 * a restart: a connection is offered those that `source` has when it begins. Without an identity nobody gets in. A
 * connection that was let in stays, also when certificates expire later.
 *
 * The peer of a connection is what `peerOf(socket)` of `@kest/core` answers, and so what `binding: 'mtls'` binds to.
 *
 * @param create makes the server with the options given: `https.createServer`, `tls.createServer`,
 *   `http2.createSecureServer`. Options of its own go beside them; those given must be kept.
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG`; what `source.current()` throws when there is no identity
 *
 * @example
 * ```ts
 * const rules = { authorize: memberOf('example.org') }
 * createMtlsServer(source, rules, (tls) => https.createServer(tls, app)).listen(8443)
 * const fastify = Fastify({ serverFactory: createMtlsServerFactory(source, rules) })
 * ```
 */
export function createMtlsServer<S extends Server>(
  source: MtlsSource,
  rules: PeerRules,
  create: (options: TlsOptions) => S,
): S {
  assertRules(source, rules)
  let shown = source.current()
  const server = create({ ...SERVER_OPTIONS })
  // A listener, even the first, would not keep those away that are added later.
  const emit: (event: string, ...values: unknown[]) => boolean = server.emit
  server.emit = (event: string, ...values: unknown[]): boolean => {
    if (event !== 'secureConnection') return emit.call(server, event, ...values)
    const [socket] = values as [TLSSocket]
    try {
      source.current()
      assertPeer(socket, source, rules)
    } catch (error) {
      socket.destroy()
      return emit.call(server, 'tlsClientError', error, socket)
    }
    return emit.call(server, event, socket)
  }
  // Before the server makes anything of the connection.
  server.prependListener('connection', () => {
    const now = identityOf(source)
    if (now === undefined || now === shown) return
    show(server, now)
    shown = now
  })
  show(server, shown)
  return server
}

/** `undefined` while there is none: what the server has is shown then, and nobody is let in. */
function identityOf(source: MtlsSource): X509Svid | undefined {
  try {
    return source.current()
  } catch {
    return undefined
  }
}

function show(server: Server, svid: X509Svid): void {
  server.setSecureContext(contextOptionsOf(svid))
  // Node has made its context, and would show the key to whoever inspects the server.
  Object.assign(server, { key: undefined })
}
