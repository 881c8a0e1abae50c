import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import {
  experimental,
  type Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js'

type AuthContext = ReturnType<ServerInterceptingCallInterface['getAuthContext']>

/** The connections that were handed over, by what their calls are given for it. */
const connections = new WeakMap<AuthContext, TLSSocket>()

/**
 * Has a server of gRPC serve the connections of a TLS server that judges its peers by itself, such as `createMtlsServer`
 * of `@kest/spiffe` makes: grpc-js knows one pool of authorities, of which any may name anybody, and tells nothing of a peer
 * that was judged otherwise. Calls know who is at the other end (`binding: 'mtls'`), and so does their `getAuthContext()`.
 *
 * Close the TLS server before `server.tryShutdown()`: it would hand over what nobody serves any more.
 *
 * @returns a listener for `secureConnection`. Connections that did not agree on `h2` (ALPN) are closed.
 *
 * @example
 * ```ts
 * const options = { ALPNProtocols: ['h2'] }
 * createMtlsServer(source, rules, (tls) => createServer({ ...tls, ...options }, connectionListener(server))).listen(50051)
 * ```
 */
export function connectionListener(server: Server): (socket: TLSSocket) => void {
  return function kestConnection(socket) {
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy()
      return
    }
    const context = Object.freeze({
      transportSecurityType: 'ssl',
      sslPeerCertificate: socket.getPeerCertificate(),
    })
    connections.set(context, socket)
    // One for each connection, which is how its calls are told apart.
    const credentials = experimental.createServerCredentialsWithInterceptors(
      ServerCredentials.createInsecure(),
      [(_, call) => new CallOfConnection(call, context)],
    )
    const injector = server.createConnectionInjector(credentials)
    socket.once('close', () => injector.destroy())
    injector.injectConnection(socket)
  }
}

class CallOfConnection extends ServerInterceptingCall {
  readonly #context: AuthContext

  constructor(call: ServerInterceptingCallInterface, context: AuthContext) {
    super(call)
    this.#context = context
  }

  override getAuthContext(): AuthContext {
    return this.#context
  }
}

/** What `peerOf` can say of a call's connection: who was judged there, else whom grpc-js found good (`authorized`). */
export function connectionOf(call: ServerInterceptingCallInterface): object {
  const context = call.getAuthContext()
  const known = connections.get(context)
  if (known !== undefined) return known
  const raw = context.sslPeerCertificate?.raw
  if (raw === undefined) return {}
  return { authorized: true, getPeerX509Certificate: () => new X509Certificate(raw) }
}
