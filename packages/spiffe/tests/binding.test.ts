import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { createFunctionEngine, createKest, type Kest, type ListenerOptions, type Operation } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { kestExpress, protect } from '@kest/express'
import { kestFastify } from '@kest/fastify'
import { withKest } from '@kest/undici'
import express from 'express'
import Fastify from 'fastify'
import { Agent, buildConnector, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createDevAuthority, type DevAuthority } from '../src/dev-authority/index.js'
import {
  createMtlsConnector,
  createMtlsServer,
  createX509KeySource,
  memberOf,
  SPIREProvider,
} from '../src/index.js'

const NAMES = ['gateway', 'proxy', 'orders'] as const
type Name = (typeof NAMES)[number]

const logger = new RecordingLogger()
const authorize = memberOf('example.org')
let authority: DevAuthority
let identities: Record<Name, SPIREProvider>
let kests: Record<Name, Kest>

beforeAll(async () => {
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(NAMES.map((name) => [name, {}])),
    intermediates: 1,
    logger,
  })
  const made = await Promise.all(
    NAMES.map(async (name) => {
      const identity = await SPIREProvider.connect({ address: authority.sockets[name] as string, logger })
      const engine = createFunctionEngine({ allow: () => true })
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

type Serve = (handler: RequestListener) => Server
const overMtls: Serve = (handler) =>
  createMtlsServer(identities.orders.source, { authorize }, (tls) => createServer(tls, handler))
const overHttp: Serve = (handler) => createHttpServer(handler)

/** The service `orders`, by either framework. Its handler answers how many entries there are. */
const frameworks = {
  fastify: async (options: ListenerOptions, serve: Serve): Promise<number> => {
    const app = Fastify({ serverFactory: (handler) => serve(handler) as never, forceCloseConnections: true })
    open.push(() => app.close())
    await app.register(kestFastify, { kest: kests.orders, policy: 'allow', ...options })
    app.get('/orders', (req) => String(req.kest?.passport.toJSON().length))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (app.server.address() as AddressInfo).port
  },
  express: async (options: ListenerOptions, serve: Serve): Promise<number> => {
    const app = express()
    app.use(kestExpress({ kest: kests.orders, ...options }))
    app.get('/orders', protect({ policy: 'allow' }), (req, res) => {
      res.send(String(req.kest?.passport.toJSON().length))
    })
    const server = serve(app).listen(0, '127.0.0.1')
    open.push(() => new Promise((resolve) => server.close(resolve)))
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },
}

function operationBy(name: Name): Promise<Operation> {
  return kests[name].begin({ operation: 'step', policy: 'allow', origin: 'system' }, { state: null })
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** A workload calls `orders`: in an operation of its own, or with a header that it found. */
async function call(
  name: Name,
  url: string,
  more: { operation?: Operation; hop?: boolean; baggage?: string; at?: number } = {},
) {
  const { hop = false, baggage, at } = more
  const bare = new Agent(
    url.startsWith('https:')
      ? { connect: createMtlsConnector(identities[name].source, { authorize }) }
      : at === undefined
        ? {}
        : { connect: leadingTo(at) },
  )
  open.unshift(() => bare.destroy())
  const ask = async (dispatcher: Agent, headers = {}): Promise<Answer> => {
    const { statusCode, body } = await request(`${url}/orders`, { dispatcher, headers })
    return { status: statusCode, body: await body.text() }
  }
  if (baggage !== undefined) return ask(bare, { baggage })
  const operation = more.operation ?? (await operationBy(name))
  const dispatcher = withKest(bare, { propagateTo: [url], hop, kest: kests[name] })
  return kests[name].run(operation.state, () => ask(dispatcher))
}

const refusedBinding = { status: 403, body: expect.stringContaining('ERR_KEST_BINDING') }

describe.each(Object.entries(frameworks))('%s with SVIDs', (_, start) => {
  it('K-HOP mtls: takes a passport from the workload that signed its tip', async () => {
    const url = `https://127.0.0.1:${await start({ binding: 'mtls' }, overMtls)}`
    expect(await call('gateway', url)).toEqual({ status: 200, body: '2' })
  })

  it('K-HOP mtls: refuses it from another workload of the same domain, unless that is a relay', async () => {
    const operation = await operationBy('gateway')
    const url = `https://127.0.0.1:${await start({ binding: 'mtls' }, overMtls)}`
    expect(await call('proxy', url, { operation })).toEqual(refusedBinding)
    const relays = ['spiffe://example.org/proxy']
    const other = `https://127.0.0.1:${await start({ binding: 'mtls', relays }, overMtls)}`
    expect(await call('proxy', other, { operation })).toEqual({ status: 200, body: '2' })
  })

  it('K-HOP mtls: refuses a passport that came without TLS', async () => {
    const url = `http://127.0.0.1:${await start({ binding: 'mtls' }, overHttp)}`
    expect(await call('gateway', url)).toEqual(refusedBinding)
  })

  it('K-HOP hop: takes a passport with a token of the workload that signed its tip, once', async () => {
    const port = await start({ binding: 'hop', audiences: ['http://orders.test'] }, overHttp)
    const stolen = await kests.gateway
      .run((await operationBy('gateway')).state, () =>
        kests.gateway.inject(new Headers(), 'http://orders.test', { hop: true }),
      )
      .then((headers) => headers.get('baggage') ?? '')
    const url = `http://127.0.0.1:${port}`
    expect(await call('gateway', url, { baggage: stolen })).toEqual({ status: 200, body: '2' })
    expect(await call('proxy', url, { baggage: stolen })).toEqual(refusedBinding)
  })

  it('K-HOP hop: undici signs a token for each request, and for the origin that it calls', async () => {
    const operation = await operationBy('gateway')
    const url = 'http://orders.test'
    const at = await start({ binding: 'hop', audiences: [url] }, overHttp)
    expect(await call('gateway', url, { operation, hop: true, at })).toEqual({ status: 200, body: '2' })
    expect(await call('gateway', url, { operation, hop: true, at })).toEqual({ status: 200, body: '2' })
    expect(await call('gateway', url, { operation, at })).toEqual(refusedBinding)
    expect(await call('proxy', url, { operation, hop: true, at })).toEqual(refusedBinding)
    // The same server by another name, for which the token is not.
    const byName = 'http://invoices.test'
    expect(await call('gateway', byName, { operation, hop: true, at })).toEqual(refusedBinding)
  })

  it('K-HOP K-SIGNER binds through the rotation of SVIDs', async () => {
    const url = `https://127.0.0.1:${await start({ binding: 'mtls' }, overMtls)}`
    for (const rotate of [() => authority.rotateSvid(), () => authority.rotateAuthority({ settleMs: 50 })]) {
      const before = identities.gateway.source.current()
      await rotate()
      while (identities.gateway.source.current() === before) await new Promise((r) => setTimeout(r, 10))
      expect(await call('gateway', url)).toEqual({ status: 200, body: '2' })
    }
  })
})

/** As a name does that leads to a server on this machine. */
function leadingTo(port: number): buildConnector.connector {
  const connect = buildConnector({})
  return (to, connected) => connect({ ...to, hostname: '127.0.0.1', port: String(port) }, connected)
}
