import { once } from 'node:events'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { peerOf } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { createMtlsConnector, createMtlsServer, oneOf, X509Source } from '@kest/spiffe'
import { createDevAuthority, type DevAuthority, type KeyType } from '@kest/spiffe/dev'
import { expect, it, onTestFinished } from 'vitest'
import { runGo, startGo } from './support/go.js'
import { use } from './support/resources.js'

const KEY_TYPES: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048']
const CLIENT = 'spiffe://example.org/client'
const SERVER = 'spiffe://example.org/server'
const STRANGER = 'spiffe://example.org/stranger'

/** What `live/go/mtls.go` says of a request. */
interface Answer {
  readonly status: number
  readonly body: string
  readonly peer: string
}

it.each(KEY_TYPES)('a client of go-spiffe talks to our server, over rotations: %s', async (keyType) => {
  const authority = await devAuthority(keyType)
  const url = await ourServer(authority, CLIENT)
  const ask = (): Promise<Answer> =>
    runGo<Answer>('mtls-client', { address: authority.sockets['client'], url, peer: SERVER })
  const expected = { status: 200, body: CLIENT, peer: SERVER }

  expect(await ask()).toEqual(expected)
  await authority.rotateSvid()
  expect(await ask()).toEqual(expected)
  await authority.rotateAuthority()
  authority.retireAuthorities()
  expect(await ask()).toEqual(expected)
})

it('our server refuses a client of go-spiffe that is another', async () => {
  const authority = await devAuthority()
  const url = await ourServer(authority, CLIENT)
  await expect(
    runGo('mtls-client', { address: authority.sockets['stranger'], url, peer: SERVER }),
  ).rejects.toThrow(/EOF|connection reset/)
})

it('a client of go-spiffe refuses our server when it is another', async () => {
  const authority = await devAuthority()
  const url = await ourServer(authority, CLIENT)
  await expect(
    runGo('mtls-client', { address: authority.sockets['client'], url, peer: STRANGER }),
  ).rejects.toThrow(/unexpected ID/)
})

it.each(KEY_TYPES)('our client talks to a server of go-spiffe, over rotations: %s', async (keyType) => {
  const authority = await devAuthority(keyType)
  const url = await goServer(authority, CLIENT)
  const source = await connect(authority, 'client')
  const createConnection = createMtlsConnector(source, { authorize: oneOf(SERVER) })

  expect(await getText(url, createConnection)).toBe(CLIENT)
  await authority.rotateSvid()
  expect(await getText(url, createConnection)).toBe(CLIENT)
  await authority.rotateAuthority()
  expect(await getText(url, createConnection)).toBe(CLIENT)
})

it('a server of go-spiffe refuses our client when it is another', async () => {
  const authority = await devAuthority()
  const url = await goServer(authority, CLIENT)
  const source = await connect(authority, 'stranger')
  const createConnection = createMtlsConnector(source, { authorize: oneOf(SERVER) })
  await expect(getText(url, createConnection)).rejects.toThrow(/bad certificate|ECONNRESET|socket hang up/)
})

it('our client refuses a server of go-spiffe that is another', async () => {
  const authority = await devAuthority()
  const url = await goServer(authority, CLIENT)
  const source = await connect(authority, 'client')
  const createConnection = createMtlsConnector(source, { authorize: oneOf(STRANGER) })
  await expect(getText(url, createConnection)).rejects.toMatchObject({ code: 'ERR_SPIFFE_PEER' })
})

async function devAuthority(keyType: KeyType = 'ec-p256'): Promise<DevAuthority> {
  const workloads = { client: {}, server: {}, stranger: {} }
  const logger = new RecordingLogger()
  return use(
    await createDevAuthority({ trustDomain: 'example.org', keyType, intermediates: 1, workloads, logger }),
  )
}

async function connect(authority: DevAuthority, workload: string): Promise<X509Source> {
  return use(await X509Source.connect({ address: authority.sockets[workload] ?? '' }))
}

/** Answers with the name of whoever asks. @returns its URL */
async function ourServer(authority: DevAuthority, client: string): Promise<string> {
  const source = await connect(authority, 'server')
  const server = createMtlsServer(source, { authorize: oneOf(client) }, (options) =>
    createServer(options, (request, response) => {
      response.end(peerOf(request.socket as TLSSocket)?.spiffeId)
    }),
  )
  server.listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function goServer(authority: DevAuthority, client: string): Promise<string> {
  const program = use(startGo('mtls-server', { address: authority.sockets['server'], peer: client }))
  const { port } = await program.next<{ port: number }>()
  return `https://127.0.0.1:${port}/`
}

/** One request on a connection of its own: with an agent, Node does not ask `createConnection`. */
async function getText(
  url: string,
  createConnection: ReturnType<typeof createMtlsConnector>,
): Promise<string> {
  const request = get(url, { createConnection: createConnection as never, timeout: 20_000 })
  const [response] = await once(request, 'response')
  return text(response)
}
