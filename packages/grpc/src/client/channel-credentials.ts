import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js'
import { KestConfigError } from '@kest/core'

/** Secures a connection: what `createMtlsConnector` of `@kest/spiffe` makes, with `protocols: ['h2']`. */
export type Connector = (
  target: { readonly httpSocket: Socket; readonly hostname: string },
  connected: (...result: [error: null, socket: TLSSocket] | [error: Error, socket: null]) => void,
) => unknown

/**
 * Credentials of a channel whose connections are made by a connector that judges its peers by itself, such as
 * `createMtlsConnector(source, { authorize, protocols: ['h2'] })` of `@kest/spiffe`.
 *
 * Each connection shows the certificates of the moment at which it is made, and keeps them. Channels share connections only if
 * they have the same credentials object: a client with new credentials connects anew.
 *
 * @throws {KestConfigError} for what is no function. Connecting fails with what the connector says.
 *
 * @example
 * ```ts
 * const connect = createMtlsConnector(source, { authorize: oneOf('spiffe://example.org/orders'), protocols: ['h2'] })
 * const orders = new OrdersClient('orders:50051', createConnectorCredentials(connect), { interceptors: [kest] })
 * ```
 */
export function createConnectorCredentials(connect: Connector): ChannelCredentials {
  if (typeof connect !== 'function')
    throw new KestConfigError(
      'createConnectorCredentials: expected a connector, such as createMtlsConnector()',
    )
  return new ConnectorCredentials(connect)
}

class ConnectorCredentials extends ChannelCredentials {
  readonly #connect: Connector

  constructor(connect: Connector) {
    super()
    this.#connect = connect
  }

  override _isSecure(): boolean {
    return true
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other
  }

  override _createSecureConnector(
    { path }: experimental.GrpcUri,
    _options: unknown,
    callCredentials: CallCredentials = CallCredentials.createEmpty(),
  ): experimental.SecureConnector {
    const hostname = path.replace(/:\d+$/, '')
    return {
      connect: async (httpSocket) => ({ socket: await this.#secured(httpSocket, hostname), secure: true }),
      waitForReady: async () => {},
      getCallCredentials: () => callCredentials,
      destroy: () => {},
    }
  }

  #secured(httpSocket: Socket, hostname: string): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      this.#connect({ httpSocket, hostname }, (error, socket) => {
        if (error !== null) return reject(error)
        if (socket.alpnProtocol === 'h2') return resolve(socket)
        socket.destroy()
        reject(
          new KestConfigError('createConnectorCredentials: gRPC needs a connector with protocols: ["h2"]'),
        )
      })
    })
  }
}
