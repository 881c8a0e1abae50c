import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import { peerOf } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Agent, request } from 'undici'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createDevAuthority, type DevAuthority } from '../src/dev-authority/index.js'
import {
  createMtlsConnector,
  createMtlsServerFactory,
  memberOf,
  oneOf,
  SpiffeError,
  X509Source,
} from '../src/index.js'
import { until } from './support/material.js'

const logger = new RecordingLogger()
const authorize = memberOf('example.org')
let authority: DevAuthority
let orders: X509Source
let gateway: X509Source
const open: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { orders: {}, gateway: {} },
    logger,
  })
  const sources = ['orders', 'gateway'].map((name) =>
    X509Source.connect({ address: authority.sockets[name] as string, logger }),
  )
  ;[orders, gateway] = (await Promise.all(sources)) as [X509Source, X509Source]
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  for (const source of [orders, gateway]) source.close()
  await authority.close()
})

async function serve(options: FastifyServerOptions = {}): Promise<{ app: FastifyInstance; port: number }> {
  const serverFactory = createMtlsServerFactory(orders, { authorize })
  const app = Fastify({ ...options, serverFactory, forceCloseConnections: true })
  app.get('/', (req) => peerOf(req.raw.socket)?.spiffeId ?? 'nobody')
  await app.listen({ port: 0, host: '127.0.0.1' })
  open.push(() => app.close())
  return { app, port: (app.server.address() as AddressInfo).port }
}

async function get(port: number, by = gateway, rules = { authorize }): Promise<string> {
  const dispatcher = new Agent({ connect: createMtlsConnector(by, rules) })
  open.push(() => dispatcher.destroy())
  return (await request(`https://127.0.0.1:${port}/`, { dispatcher })).body.text()
}

/** The number of the certificate that the server shows. */
async function shownBy(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

it('a Fastify server lets in who may, and knows who it is', async () => {
  const { port } = await serve()
  expect(await get(port)).toBe('spiffe://example.org/gateway')
  await expect(get(port, gateway, { authorize: oneOf('spiffe://example.org/other') })).rejects.toBeInstanceOf(
    SpiffeError,
  )
})

it('a Fastify server shows the SVID that its source has now, without a restart, and verifies by its bundle', async () => {
  const { port } = await serve()
  const before = await shownBy(port)
  expect(await shownBy(port)).toBe(before)
  const [own, peers] = [orders.current(), gateway.current()]
  await authority.rotateAuthority({ settleMs: 50 })
  await until(() => orders.current() !== own && gateway.current() !== peers)
  expect(await shownBy(port)).not.toBe(before)
  authority.retireAuthorities()
  await until(() => orders.getX509Bundle('example.org')?.authorities.length === 1)
  await until(() => gateway.getX509Bundle('example.org')?.authorities.length === 1)
  expect(await get(port)).toBe('spiffe://example.org/gateway')
})

it('a Fastify server has the settings that Fastify was given', async () => {
  const settings = { keepAliveTimeout: 1234, requestTimeout: 2345, connectionTimeout: 3456 }
  const { app } = await serve({ ...settings, maxRequestsPerSocket: 7 })
  const { keepAliveTimeout, requestTimeout, timeout, maxRequestsPerSocket } = app.server as unknown as Server
  expect([keepAliveTimeout, requestTimeout, timeout, maxRequestsPerSocket]).toEqual([1234, 2345, 3456, 7])
})

it('ERR_SPIFFE_CONFIG: a factory without rules is refused when it is made', () => {
  expect(() => createMtlsServerFactory(orders, {} as never)).toThrow(SpiffeError)
})
