import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server as TlsServer } from 'node:tls'
import {
  CallCredentials,
  type ChannelCredentials,
  type ClientOptions,
  credentials,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js'
import { createFunctionEngine, createKest, type Kest, KestConfigError, type Operation } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import {
  type Authorizer,
  createMtlsConnector,
  createMtlsServer,
  createX509KeySource,
  memberOf,
  oneOf,
  SPIREProvider,
} from '@kest/spiffe'
import { createDevAuthority, type DevAuthority } from '@kest/spiffe/dev'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  connectionListener,
  createConnectorCredentials,
  createKestInterceptor,
  type KestGrpcOptions,
  kestGrpc,
} from '../src/index.js'
import {
  Echo,
  EchoClient,
  FORMS,
  failureOf,
  type Handle,
  implementation,
  kestCode,
  metadataOf,
  send,
} from './support/echo.js'
import { bind, METHODS } from './support/world.js'

const NAMES = ['gateway', 'proxy', 'orders'] as const
type Name = (typeof NAMES)[number]

const WAIT = { timeout: 120_000, interval: 10 }
const ID = (name: string): string => `spiffe://example.org/${name}`
const logger = new RecordingLogger()
const authorize = memberOf('example.org')
let authority: DevAuthority
let identities: Record<Name, SPIREProvider>
let kests: Record<Name, Kest>

beforeAll(async () => {
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(NAMES.map((name) => [name, {}])),
    logger,
  })
  const made = await Promise.all(
    NAMES.map(async (name) => {
      const identity = await SPIREProvider.connect({ address: authority.sockets[name] as string, logger })
      const engine = createFunctionEngine({ test: () => true })
      const trust = createX509KeySource(identity.source)
      return [name, identity, createKest({ identity, engine, trust, logger })] as const
    }),
  )
  identities = Object.fromEntries(made.map(([name, identity]) => [name, identity])) as typeof identities
  kests = Object.fromEntries(made.map(([name, , kest]) => [name, kest])) as typeof kests
})
afterAll(async () => {
  for (const identity of Object.values(identities)) identity.close()
  await authority.close()
})

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

function grpcServer(
  options: Partial<KestGrpcOptions> = {},
  handle: Handle = (message) => message,
  others: readonly ServerInterceptor[] = [],
): Server {
  const kest = kestGrpc({ kest: kests.orders, methods: METHODS, binding: 'mtls', ...options })
  const server = new Server({ interceptors: [...others, kest] })
  server.addService(Echo, implementation(handle))
  open.push(() => server.forceShutdown())
  return server
}

/** The service `orders`, behind a TLS server that shows its SVID and judges its peers. */
async function serve(
  server: Server,
  allowed: Authorizer = authorize,
): Promise<{ port: number; tls: TlsServer; refused: unknown[] }> {
  const tls = createMtlsServer(identities.orders.source, { authorize: allowed }, (own) =>
    createServer({ ...own, ALPNProtocols: ['h2'] }, connectionListener(server)),
  )
  const refused: unknown[] = []
  tls.on('tlsClientError', (error) => refused.push(error))
  tls.listen(0, '127.0.0.1')
  await once(tls, 'listening')
  open.push(() => tls.close())
  return { port: (tls.address() as AddressInfo).port, tls, refused }
}

function credentialsOf(name: Name, protocols: readonly string[] = ['h2']): ChannelCredentials {
  const { source } = identities[name]
  return createConnectorCredentials(
    createMtlsConnector(source, { authorize: oneOf(ID('orders')), protocols }),
  )
}

function clientOf(
  name: Name,
  port: number,
  shown: ChannelCredentials = credentialsOf(name),
  options: ClientOptions = {},
): EchoClient {
  const target = `https://127.0.0.1:${port}`
  const kest = createKestInterceptor({ target, propagateTo: [target], kest: kests[name] })
  const client = new EchoClient(`127.0.0.1:${port}`, shown, { interceptors: [kest], ...options })
  open.unshift(() => client.close())
  return client
}

function operationBy(name: Name): Promise<Operation> {
  return kests[name].begin({ operation: 'step', policy: 'test', origin: 'system' }, { state: null })
}

describe('binding: mtls', () => {
  it.each(FORMS)('K-HOP lets in a passport from whom it is of, and from nobody else: %s', async (form) => {
    const { port } = await serve(grpcServer())
    const operation = await operationBy('gateway')
    const own = kests.gateway.run(operation.state, () => send(clientOf('gateway', port), form, 'm'))
    expect((await own).flat()).toContain('m')
    const stolen = await failureOf(
      kests.proxy.run(operation.state, () => send(clientOf('proxy', port), form, 'm')),
    )
    expect([stolen.code, kestCode(stolen)]).toEqual([status.PERMISSION_DENIED, 'ERR_KEST_BINDING'])
  })

  it('K-HOP tells the connections of several peers apart, whatever interceptors stand between', async () => {
    const between: ServerInterceptor = (_, call) => new ServerInterceptingCall(call)
    const { port } = await serve(grpcServer({}, undefined, [between]))
    const clients = { gateway: clientOf('gateway', port), proxy: clientOf('proxy', port) }
    const operations = { gateway: await operationBy('gateway'), proxy: await operationBy('proxy') }
    const names = ['gateway', 'proxy'] as const
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, n) => {
        const [caller, of] = [names[n % 2]!, names[(n >> 1) % 2]!]
        const sent = kests[caller].run(operations[of].state, () => send(clients[caller], 'unary', `m${n}`))
        return sent.then(
          () => [caller, of, 'in'],
          (error) => [caller, of, kestCode(error) || error.message],
        )
      }),
    )
    for (const [caller, of, outcome] of outcomes)
      expect(outcome).toBe(caller === of ? 'in' : 'ERR_KEST_BINDING')
  })

  it('K-HOP refuses what comes without TLS', async () => {
    const server = grpcServer()
    const port = await bind(server)
    const client = clientOf('gateway', port, credentials.createInsecure())
    const operation = await operationBy('gateway')
    const failure = await failureOf(kests.gateway.run(operation.state, () => send(client, 'unary', 'm')))
    expect(kestCode(failure)).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP knows peers whom grpc-js has judged by itself, by the authorities of one domain', async () => {
    const server = grpcServer()
    const port = await new Promise<number>((resolve, reject) => {
      const { key, cert, roots } = pemOf('orders')
      server.bindAsync(
        '127.0.0.1:0',
        ServerCredentials.createSsl(roots, [{ private_key: key, cert_chain: cert }], true),
        (error, bound) => (error ? reject(error) : resolve(bound)),
      )
    })
    const operation = await operationBy('gateway')
    const by = (name: Name): EchoClient => {
      const { key, cert, roots } = pemOf(name)
      const shown = credentials.createSsl(roots, key, cert, { checkServerIdentity: () => undefined })
      // Node 26 takes no address for a server's name, and grpc-js gives it one.
      return clientOf(name, port, shown, { 'grpc.ssl_target_name_override': 'orders' })
    }
    expect(await kests.gateway.run(operation.state, () => send(by('gateway'), 'unary', 'm'))).toEqual(['m'])
    const stolen = await failureOf(kests.proxy.run(operation.state, () => send(by('proxy'), 'unary', 'm')))
    expect(kestCode(stolen)).toBe('ERR_KEST_BINDING')
  })
})

function pemOf(name: Name): { readonly key: Buffer; readonly cert: Buffer; readonly roots: Buffer } {
  const { source } = identities[name]
  const { certificates, privateKey } = source.current()
  const pem = (ders: readonly Uint8Array[]): Buffer =>
    Buffer.from(
      ders
        .map((der) => Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n'))
        .map((base64) => `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`)
        .join(''),
    )
  return {
    key: Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })),
    cert: pem(certificates),
    roots: pem(source.getX509Bundle('example.org')?.authorities ?? []),
  }
}

describe('connectionListener', () => {
  it('gives handlers the peer’s certificate, which grpc-js does not', async () => {
    const server = grpcServer({}, (_, call) => {
      const { sslPeerCertificate } = (
        call as unknown as { getAuthContext(): { sslPeerCertificate: { subjectaltname: string } } }
      ).getAuthContext()
      return sslPeerCertificate.subjectaltname
    })
    const { port } = await serve(server)
    const operation = await operationBy('gateway')
    expect(
      await kests.gateway.run(operation.state, () => send(clientOf('gateway', port), 'unary', 'm')),
    ).toEqual([`URI:${ID('gateway')}`])
  })

  it('serves nobody whom the TLS server does not let in', async () => {
    const { port, refused } = await serve(grpcServer(), oneOf(ID('proxy')))
    const operation = await operationBy('gateway')
    const failure = await failureOf(
      kests.gateway.run(operation.state, () => send(clientOf('gateway', port), 'unary', 'm')),
    )
    expect(failure.code).toBe(status.UNAVAILABLE)
    expect(refused.length).toBeGreaterThan(0)
  })

  it('closes connections that did not agree on h2', async () => {
    const { port } = await serve(grpcServer())
    const own = pemOf('gateway')
    const socket = connect({
      host: '127.0.0.1',
      port,
      key: own.key,
      cert: own.cert,
      rejectUnauthorized: false,
    })
    socket.on('error', () => {})
    await once(socket.resume(), 'close')
  })

  it('leaves nothing behind: shutting down ends where the connections are closed', async () => {
    const server = grpcServer()
    const { port, tls } = await serve(server)
    const client = clientOf('gateway', port)
    await kests.gateway.run((await operationBy('gateway')).state, () => send(client, 'unary', 'm'))
    client.close()
    await new Promise((resolve) => tls.close(resolve))
    // One server of HTTP/2 for each connection, which is known as long as that is open.
    const known = Reflect.get(server, 'http2Servers') as Map<unknown, unknown>
    await vi.waitFor(() => expect(known.size).toBe(0), WAIT)
    await new Promise((resolve) => server.tryShutdown(resolve))
  })
})

describe('createConnectorCredentials', () => {
  it('shows a new SVID on new channels, and connections that were made stay', async () => {
    const numbers: string[] = []
    const server = grpcServer()
    const { port, tls } = await serve(server)
    tls.on('secureConnection', (socket) => numbers.push(socket.getPeerCertificate().serialNumber))
    const operation = await operationBy('gateway')
    const first = clientOf('gateway', port)
    await kests.gateway.run(operation.state, () => send(first, 'unary', 'm'))
    const before = identities.gateway.source.current()
    await authority.rotateSvid('gateway')
    await vi.waitFor(() => expect(identities.gateway.source.current()).not.toBe(before), WAIT)
    await kests.gateway.run(operation.state, () => send(first, 'unary', 'm'))
    expect(numbers).toHaveLength(1)
    await kests.gateway.run(operation.state, () => send(clientOf('gateway', port), 'unary', 'm'))
    expect(numbers).toHaveLength(2)
    expect(numbers[1]).not.toBe(numbers[0])
  })

  it('carries other credentials of the channel, and the passport with them', async () => {
    let seen: unknown
    const { port } = await serve(
      grpcServer({}, (_, { metadata }) => {
        seen = metadata.get('authorization')
        return 'ok'
      }),
    )
    const bearer = CallCredentials.createFromMetadataGenerator((_, callback) =>
      callback(null, metadataOf({ authorization: 'Bearer x', baggage: 'kest.user=eve' })),
    )
    const shown = credentials.combineChannelCredentials(credentialsOf('gateway'), bearer)
    const operation = await operationBy('gateway')
    expect(
      await kests.gateway.run(operation.state, () => send(clientOf('gateway', port, shown), 'unary', 'm')),
    ).toEqual(['ok'])
    expect(seen).toEqual(['Bearer x'])
  })

  it('calls nobody but whom it may', async () => {
    const { port } = await serve(grpcServer())
    const { source } = identities.gateway
    const other = createConnectorCredentials(
      createMtlsConnector(source, { authorize: oneOf(ID('payments')), protocols: ['h2'] }),
    )
    const failure = await failureOf(send(clientOf('gateway', port, other), 'unary', 'm'))
    expect(failure.code).toBe(status.UNAVAILABLE)
  })

  it('says what a connector lacks that does not offer h2', async () => {
    const { port } = await serve(grpcServer())
    const failure = await failureOf(
      send(clientOf('gateway', port, credentialsOf('gateway', ['http/1.1'])), 'unary', 'm'),
    )
    expect(failure.code).toBe(status.UNAVAILABLE)
    expect(() => createConnectorCredentials(undefined as never)).toThrow(KestConfigError)
  })
})
