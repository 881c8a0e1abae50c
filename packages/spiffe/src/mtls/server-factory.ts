import type { RequestListener } from 'node:http'
import { createServer, type Server, type ServerOptions } from 'node:https'
import { assertRules, type MtlsSource, type PeerRules } from './peer-rules.js'
import { createMtlsServer } from './server.js'

/** What Fastify sets on servers that it makes itself, and leaves to a `serverFactory`. */
interface ServerSettings {
  readonly keepAliveTimeout?: number
  readonly requestTimeout?: number
  readonly connectionTimeout?: number
  readonly maxRequestsPerSocket?: number
}

/** As Fastify takes it for `serverFactory`. `settings` are Fastify's own options. */
export type MtlsServerFactory = (handler: RequestListener, settings: object) => Server

/**
 * {@link createMtlsServer} for Fastify: makes what its option `serverFactory` takes. Fastify's own settings of a server,
 * such as `requestTimeout` and `keepAliveTimeout`, hold as without a factory.
 *
 * @param options of `https.createServer`, such as `maxHeaderSize`; those of TLS are this package's
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG`, at once or when Fastify makes its server
 *
 * @example
 * ```ts
 * const app = Fastify({ serverFactory: createMtlsServerFactory(source, { authorize: memberOf('example.org') }) })
 * await app.register(kestFastify, { binding: 'mtls' })
 * ```
 */
export function createMtlsServerFactory(
  source: MtlsSource,
  rules: PeerRules,
  options: ServerOptions = {},
): MtlsServerFactory {
  assertRules(source, rules)
  return (handler, settings) => {
    const server = createMtlsServer(source, rules, (tls) => createServer({ ...options, ...tls }, handler))
    const settled: ServerSettings = settings
    const { keepAliveTimeout, requestTimeout, connectionTimeout, maxRequestsPerSocket } = settled
    if (keepAliveTimeout !== undefined) server.keepAliveTimeout = keepAliveTimeout
    if (requestTimeout !== undefined) server.requestTimeout = requestTimeout
    if (connectionTimeout !== undefined) server.setTimeout(connectionTimeout)
    // Fastify takes zero for "as Node has it".
    if (maxRequestsPerSocket) server.maxRequestsPerSocket = maxRequestsPerSocket
    return server
  }
}
