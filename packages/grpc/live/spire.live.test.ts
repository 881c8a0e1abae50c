import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { Server, status } from '@grpc/grpc-js'
import { createFunctionEngine, createKest, type Kest } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import {
  createMtlsConnector,
  createMtlsServer,
  createX509KeySource,
  oneOf,
  SPIREProvider,
  X509Source,
} from '@kest/spiffe'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../spiffe/live/support/resources.js'
import { missingSpirePrograms, startSpire } from '../../spiffe/live/support/spire.js'
import {
  connectionListener,
  createConnectorCredentials,
  createKestInterceptor,
  kestGrpc,
} from '../src/index.js'
import { Echo, EchoClient, FORMS, failureOf, implementation, kestCode, send } from '../tests/support/echo.js'
import { METHODS } from '../tests/support/world.js'

const missing = missingSpirePrograms()
const why = missing.length === 0 ? '' : ` (DID NOT RUN: ${missing.join(' and ')} not on PATH)`

const ID = (name: string): string => `spiffe://example.org/${name}`
const logger = new RecordingLogger()

it.skipIf(missing.length > 0)(
  `K-HOP K-RPC over mTLS with SVIDs of SPIRE a passport is taken from whom it is of, in all four forms${why}`,
  async () => {
    const uid = process.getuid?.() ?? 0
    const names = ['orders', 'gateway', 'proxy'] as const
    const registrations = names.map((name) => ({ id: ID(name), uid, ttl: 600 }))
    const { address } = await startSpire(await temporaryFolder(), registrations)
    /** All are this process', which picks. */
    const workload = async (name: string): Promise<{ readonly source: X509Source; readonly kest: Kest }> => {
      const pick: NonNullable<Parameters<typeof X509Source.connect>[0]>['pick'] = (svids) =>
        svids.find(({ id }) => id.toString() === ID(name))
      const source = await X509Source.connect({ address, pick, logger })
      onTestFinished(() => source.close())
      const engine = createFunctionEngine({ test: () => true })
      const trust = createX509KeySource(source)
      return { source, kest: createKest({ identity: SPIREProvider.of(source), engine, trust, logger }) }
    }
    const [orders, gateway, proxy] = await Promise.all([
      workload('orders'),
      workload('gateway'),
      workload('proxy'),
    ])

    const inbound = kestGrpc({ kest: orders.kest, methods: METHODS, binding: 'mtls' })
    const server = new Server({ interceptors: [inbound] })
    server.addService(
      Echo,
      implementation((message) => message),
    )
    const authorize = oneOf(ID('gateway'), ID('proxy'))
    const tls = createMtlsServer(orders.source, { authorize }, (own) =>
      createServer({ ...own, ALPNProtocols: ['h2'] }, connectionListener(server)),
    ).listen(0, '127.0.0.1')
    await once(tls, 'listening')
    const { port } = tls.address() as AddressInfo
    const target = `https://127.0.0.1:${port}`

    const clientOf = ({ source, kest }: typeof gateway): EchoClient => {
      const rules = { authorize: oneOf(ID('orders')), protocols: ['h2'] }
      const shown = createConnectorCredentials(createMtlsConnector(source, rules))
      const interceptor = createKestInterceptor({ kest, target, propagateTo: [target] })
      const client = new EchoClient(`127.0.0.1:${port}`, shown, { interceptors: [interceptor] })
      onTestFinished(() => client.close())
      return client
    }
    onTestFinished(() => {
      server.forceShutdown()
      tls.close()
    })

    const own = clientOf(gateway)
    const stolen = clientOf(proxy)
    const operation = { operation: 'step', policy: 'test', origin: 'system' } as const
    const { state } = await gateway.kest.begin(operation, { state: null })
    for (const form of FORMS) {
      expect((await gateway.kest.run(state, () => send(own, form, 'm'))).flat()).toContain('m')
      const failure = await failureOf(gateway.kest.run(state, () => send(stolen, form, 'm')))
      expect([failure.code, kestCode(failure)]).toEqual([status.PERMISSION_DENIED, 'ERR_KEST_BINDING'])
    }
  },
)
