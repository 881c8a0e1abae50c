import { once } from 'node:events'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { createServer, type Server as HttpsServer, request } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { type ConnectionOptions, connect, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import { inspect } from 'node:util'
import { peerOf } from '@kest/core'
import { Agent, request as undiciRequest } from 'undici'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Authorizer,
  anyId,
  createMtlsConnector,
  createMtlsServer,
  memberOf,
  oneOf,
  type PeerRules,
  SpiffeError,
  SpiffeId,
  type X509Svid,
} from '../src/index.js'
import { contextOptionsOf } from '../src/mtls/secure-context.js'
import { HOUR } from './support/certificates.js'
import { authorityOf, FixedSource, svidOf } from './support/peers.js'

const ORDERS = 'spiffe://example.org/orders'
const GATEWAY = 'spiffe://example.org/gateway'

const root = authorityOf('example.org')
const intermediate = authorityOf('example.org, west', root)
const partner = authorityOf('partner.test')
/** Calls itself as the right one does. */
const rogue = authorityOf('example.org')
const trusted = { 'example.org': root, 'partner.test': partner }

const ordersSvid = svidOf(ORDERS, root)
const gatewaySvid = svidOf(GATEWAY, root)

let orders: FixedSource
let open: (() => unknown)[]
beforeEach(() => {
  open = []
  orders = new FixedSource(ordersSvid, trusted)
})
afterEach(async () => {
  for (const close of open) await close()
})

interface Running {
  readonly server: HttpsServer
  readonly port: number
  readonly handler: ReturnType<typeof vi.fn>
  /** Codes of those that were refused. */
  readonly refused: string[]
}

/** A service that answers with the name of its peer. */
async function serve(rules: PeerRules = { authorize: anyId() }, source = orders): Promise<Running> {
  const handler = vi.fn((req, res) => res.end(peerOf(req.socket)?.spiffeId ?? 'nobody'))
  const server = createMtlsServer(source, rules, (tls) => createServer(tls, handler))
  const refused: string[] = []
  server.on('tlsClientError', (error: Error) => refused.push((error as SpiffeError).code ?? String(error)))
  return { server, port: await listen(server), handler, refused }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => new Promise((resolve) => server.close(resolve)))
  const sockets = new Set<TLSSocket>()
  server.on('connection', (socket) => sockets.add(socket as TLSSocket))
  open.unshift(() => {
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** Speaks HTTP as an identity, without any check of its own; what it got before the connection closed. */
async function exchange(
  port: number,
  svid: X509Svid | null,
  options: ConnectionOptions = {},
): Promise<{ readonly text: string; readonly session: Buffer | undefined; readonly reused: boolean }> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ...(svid !== null && contextOptionsOf(svid)),
    ...options,
  })
  open.unshift(() => socket.destroy())
  let text = ''
  let session: Buffer | undefined
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.on('session', (one) => {
    session = one
  })
  // With its last word of the handshake, so that the server has the request as soon as it knows who asks.
  socket.write('GET / HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n')
  socket.on('error', () => {})
  let reused = false
  socket.on('secureConnect', () => {
    reused = socket.isSessionReused()
    session ??= socket.getSession()
  })
  await new Promise((resolve) => socket.once('close', resolve))
  return { text: text.split('\r\n\r\n').at(1) ?? '', session, reused }
}

function agentOf(source: FixedSource, authorize: Authorizer = anyId()): Agent {
  const agent = new Agent({ connect: createMtlsConnector(source, { authorize, timeoutMs: 60_000 }) })
  open.unshift(() => agent.destroy())
  return agent
}

async function get(agent: Agent, port: number): Promise<string> {
  const { body } = await undiciRequest(`https://127.0.0.1:${port}/`, { dispatcher: agent })
  return body.text()
}

const gateway = (): FixedSource => new FixedSource(gatewaySvid, trusted)

describe('createMtlsServer', () => {
  it('lets in who may, and says who it is', async () => {
    const { port, refused } = await serve({ authorize: oneOf(GATEWAY) })
    expect((await exchange(port, gatewaySvid)).text).toBe(GATEWAY)
    expect(refused).toEqual([])
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('lets in a peer of a federated domain, by %s', async (version) => {
    const { port } = await serve()
    const { text } = await exchange(port, svidOf('spiffe://partner.test/api', partner), {
      minVersion: version,
      maxVersion: version,
    })
    expect(text).toContain('spiffe://partner.test/api')
  })

  it('lets in a peer with an intermediate authority', async () => {
    const { port } = await serve()
    expect((await exchange(port, svidOf(GATEWAY, intermediate, {}, [intermediate]))).text).toContain(GATEWAY)
  })

  const strangers: Readonly<Record<string, readonly [peer: () => X509Svid | null, code: string]>> = {
    'no certificate': [() => null, 'ERR_SPIFFE_PEER'],
    'a rogue authority that calls itself as ours does': [() => svidOf(GATEWAY, rogue), 'ERR_SPIFFE_CHAIN'],
    'the authority of a federated domain, under a name of ours': [
      () => svidOf(GATEWAY, partner),
      'ERR_SPIFFE_CHAIN',
    ],
    'our authority, under a name of a federated domain': [
      () => svidOf('spiffe://partner.test/api', root),
      'ERR_SPIFFE_CHAIN',
    ],
    'a domain whose bundle is not here': [
      () => svidOf('spiffe://elsewhere.test/api', authorityOf('elsewhere')),
      'ERR_SPIFFE_BUNDLE_UNKNOWN',
    ],
    'an SVID that has expired': [
      () => svidOf(GATEWAY, root, { notAfter: Date.now() - 1000 }),
      'ERR_SPIFFE_EXPIRED',
    ],
    'an SVID of tomorrow': [
      () => svidOf(GATEWAY, root, { notBefore: Date.now() + HOUR, notAfter: Date.now() + 2 * HOUR }),
      'ERR_SPIFFE_EXPIRED',
    ],
    'an intermediate authority that it does not show': [
      () => svidOf(GATEWAY, intermediate),
      'ERR_SPIFFE_CHAIN',
    ],
    'an ID that is not authorized': [() => svidOf('spiffe://example.org/other', root), 'ERR_SPIFFE_PEER'],
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it.each(Object.entries(strangers))(
      `NF-SEC-02 lets nobody in with %s, before anything runs (${version})`,
      async (_, [peer, code]) => {
        const { port, handler, refused } = await serve({
          authorize: (id) => id.path === '/gateway' || id.trustDomain.name !== 'example.org',
        })
        const { text } = await exchange(port, peer(), { minVersion: version, maxVersion: version })
        expect(text).toBe('')
        expect(handler).not.toHaveBeenCalled()
        expect(refused).toEqual([code])
      },
    )
  }

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('directory is down')
      },
    ],
    ['answers a promise', async () => true],
    ['answers something true', () => 1],
    ['answers nothing', () => undefined],
  ])('NF-SEC-02 lets nobody in when authorize %s', async (_, authorize) => {
    const { port, handler, refused } = await serve({ authorize: authorize as Authorizer })
    await exchange(port, gatewaySvid)
    expect(handler).not.toHaveBeenCalled()
    expect(refused).toEqual(['ERR_SPIFFE_PEER'])
  })

  it('hands no socket of a stranger to any server that is built on it', async () => {
    const handler = vi.fn((socket: TLSSocket) => socket.end('secret'))
    const { createServer: createTlsServer } = await import('node:tls')
    const server = createMtlsServer(orders, { authorize: oneOf(GATEWAY) }, (tls) =>
      createTlsServer(tls, handler),
    )
    const added = vi.fn()
    server.on('secureConnection', added)
    const port = await listen(server)
    await exchange(port, svidOf('spiffe://example.org/other', root))
    expect([handler, added].map(({ mock }) => mock.calls.length)).toEqual([0, 0])
    await exchange(port, gatewaySvid)
    expect([handler, added].map(({ mock }) => mock.calls.length)).toEqual([1, 1])
  })

  it('serves HTTP/2 to who may, and to no other', async () => {
    const handler = vi.fn((req, res) => res.end(peerOf(req.socket)?.spiffeId))
    const server = createMtlsServer(orders, { authorize: oneOf(GATEWAY) }, (tls) =>
      createSecureServer(tls, handler),
    )
    const port = await listen(server)
    const ask = (svid: X509Svid) =>
      new Promise<string>((resolve, reject) => {
        const client = connectHttp2(`https://127.0.0.1:${port}`, {
          rejectUnauthorized: false,
          ...contextOptionsOf(svid),
        })
        open.unshift(() => client.destroy())
        client.on('error', reject)
        client.on('close', () => reject(new Error('closed')))
        let text = ''
        client
          .request()
          .setEncoding('utf8')
          .on('data', (chunk) => {
            text += chunk
          })
          .on('end', () => resolve(text))
          .on('error', reject)
      })
    await expect(ask(gatewaySvid)).resolves.toBe(GATEWAY)
    await ask(svidOf('spiffe://example.org/other', root)).catch(() => {})
    expect(handler).toHaveBeenCalledOnce()
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'judges a peer that would resume a session anew, by %s',
    async (version) => {
      const allowed = new Set([GATEWAY])
      const { port, handler } = await serve({ authorize: (id) => allowed.has(id.toString()) })
      const only = { minVersion: version, maxVersion: version }
      const first = await exchange(port, gatewaySvid, only)
      expect(first.text).toBe(GATEWAY)
      allowed.clear()
      const second = await exchange(port, gatewaySvid, {
        ...only,
        ...(first.session && { session: first.session }),
      })
      expect(second.text).toBe('')
      expect(first.session).toBeDefined()
      expect(second.reused).toBe(false)
      expect(handler).toHaveBeenCalledOnce()
    },
  )

  it('judges a session that its user keeps by himself all the same', async () => {
    const sessions = new Map<string, Buffer>()
    const allowed = new Set([GATEWAY])
    const { server, port, handler } = await serve({ authorize: (id) => allowed.has(id.toString()) })
    server.on('newSession', (id, data, done) => {
      sessions.set(id.toString('hex'), data)
      done()
    })
    server.on('resumeSession', (id, done) => done(null, sessions.get(id.toString('hex')) ?? null))
    const only = { maxVersion: 'TLSv1.2' } as const
    const { session } = await exchange(port, gatewaySvid, only)
    allowed.clear()
    const again = await exchange(port, gatewaySvid, { ...only, session: session as Buffer })
    expect(again).toMatchObject({ reused: true, text: '' })
    expect(handler).toHaveBeenCalledOnce()
  })

  it.each([
    ['by name', { servername: 'orders.test' }],
    ['by address', {}],
  ])('shows new certificates without a restart, %s', async (_, options) => {
    const { port } = await serve()
    const shown = async () => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        ...contextOptionsOf(gatewaySvid),
        ...options,
      })
      await once(socket, 'secureConnect')
      const { raw } = socket.getPeerCertificate()
      socket.destroy()
      return raw.toString('hex')
    }
    const hex = ([leaf]: readonly Uint8Array[]) => Buffer.from(leaf as Uint8Array).toString('hex')
    expect(await shown()).toBe(hex(ordersSvid.certificates))
    const next = svidOf(ORDERS, root)
    orders.svid = next
    expect(await shown()).toBe(hex(next.certificates))
  })

  it('verifies by the bundles of the moment', async () => {
    const { port, handler, refused } = await serve()
    await exchange(port, gatewaySvid)
    orders.trust({ 'example.org': rogue })
    await exchange(port, gatewaySvid)
    expect(handler).toHaveBeenCalledOnce()
    expect(refused).toEqual(['ERR_SPIFFE_CHAIN'])
  })

  it('NF-SEC-02 lets nobody in while it has no identity', async () => {
    const { port, handler } = await serve()
    orders.svid = undefined
    expect((await exchange(port, gatewaySvid)).text).toBe('')
    expect(handler).not.toHaveBeenCalled()
    orders.svid = ordersSvid
    expect((await exchange(port, gatewaySvid)).text).toBe(GATEWAY)
  })

  it('gives options that open nothing by themselves', async () => {
    let given: TlsOptions = {}
    createMtlsServer(orders, { authorize: anyId() }, (tls) => {
      given = tls
      return createServer(tls)
    })
    const handler = vi.fn()
    const server = createServer(given, handler)
    const { text } = await exchange(await listen(server), gatewaySvid)
    expect(text).toBe('')
    expect(handler).not.toHaveBeenCalled()
  })

  it('NF-SEC-01 shows its key to nobody who inspects it', async () => {
    const { server, port } = await serve()
    orders.svid = svidOf(ORDERS, root)
    await exchange(port, gatewaySvid)
    const text = inspect(server, { depth: 12, showHidden: true, maxArrayLength: null, maxStringLength: null })
    expect(text).toContain('BEGIN CERTIFICATE')
    expect(text).not.toContain('PRIVATE KEY')
  })

  it.each<[string, unknown, unknown]>([
    ['a source', {}, { authorize: anyId() }],
    ['an authorizer', gateway(), {}],
    ['rules', gateway(), undefined],
    ['bundles', { current: () => ordersSvid }, { authorize: anyId() }],
  ])('needs %s', (_, source, rules) => {
    const config = expect.objectContaining({ code: 'ERR_SPIFFE_CONFIG' })
    expect(() => createMtlsServer(source as never, rules as never, (tls) => createServer(tls))).toThrow(
      config,
    )
    expect(() => createMtlsConnector(source as never, rules as never)).toThrow(config)
  })
})

describe('createMtlsConnector', () => {
  it('connects undici to who may answer', async () => {
    const { port } = await serve({ authorize: oneOf(GATEWAY) })
    expect(await get(agentOf(gateway(), oneOf(ORDERS)), port)).toBe(GATEWAY)
  })

  it('connects node:https', async () => {
    const { port } = await serve()
    const createConnection = createMtlsConnector(gateway(), { authorize: oneOf(ORDERS) })
    const text = await new Promise((resolve, reject) => {
      const url = `https://localhost:${port}/a/path`
      request(url, { createConnection }, (res) => {
        res.setEncoding('utf8').on('data', resolve)
      })
        .on('error', reject)
        .end()
    })
    expect(text).toBe(GATEWAY)
  })

  const impostors: Readonly<Record<string, readonly [() => X509Svid, string]>> = {
    'of a rogue authority': [() => svidOf(ORDERS, rogue), 'ERR_SPIFFE_CHAIN'],
    'of a federated authority under a name of ours': [() => svidOf(ORDERS, partner), 'ERR_SPIFFE_CHAIN'],
    'whose SVID has expired': [
      () => svidOf(ORDERS, root, { notAfter: Date.now() - 1000 }),
      'ERR_SPIFFE_EXPIRED',
    ],
    'that is not authorized': [() => svidOf('spiffe://example.org/other', root), 'ERR_SPIFFE_PEER'],
  }
  it.each(Object.entries(impostors))('NF-SEC-02 sends nothing to a server %s', async (_, [svid, code]) => {
    const { port, handler } = await serve(undefined, new FixedSource(svid(), trusted))
    const answer = get(agentOf(gateway(), oneOf(ORDERS)), port)
    await expect(answer).rejects.toMatchObject({ code })
    expect(handler).not.toHaveBeenCalled()
  })

  it('shows new certificates without a restart', async () => {
    const { port } = await serve()
    const source = gateway()
    const agent = agentOf(source)
    expect(await get(agent, port)).toBe(GATEWAY)
    source.svid = svidOf('spiffe://example.org/renamed', root)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const others = await Promise.all([1, 2, 3].map(() => get(agent, port)))
    expect(others).toContain('spiffe://example.org/renamed')
  })

  it('NF-SEC-02 connects nowhere without an identity', async () => {
    const { port, handler } = await serve()
    const source = gateway()
    source.svid = undefined
    await expect(get(agentOf(source), port)).rejects.toThrow('no identity')
    expect(handler).not.toHaveBeenCalled()
  })

  it('refuses URLs that are not https:', async () => {
    const { port } = await serve()
    const answer = undiciRequest(`http://127.0.0.1:${port}/`, { dispatcher: agentOf(gateway()) })
    await expect(answer).rejects.toMatchObject({ code: 'ERR_SPIFFE_PEER' })
  })

  it('gives up on a peer that says nothing, and on one that hangs up', async () => {
    const silent = createTcpServer((socket) => open.unshift(() => socket.destroy()))
    const rude = createTcpServer((socket) => socket.destroy())
    const connectTo = async (server: typeof silent) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      open.push(() => new Promise((resolve) => server.close(resolve)))
      const { port } = server.address() as AddressInfo
      const connector = createMtlsConnector(gateway(), { authorize: anyId(), timeoutMs: 100 })
      return new Promise<unknown>((resolve) =>
        connector({ hostname: '127.0.0.1', port }, (...result) => resolve(result[0])),
      )
    }
    expect(await connectTo(silent)).toMatchObject({ code: 'ERR_SPIFFE_TIMEOUT' })
    expect(await connectTo(rude)).toBeInstanceOf(Error)
  })

  it.each([0, -1, 1.5, '9'])('refuses a time-out of %s', (timeoutMs) => {
    const rules = { authorize: anyId(), timeoutMs: timeoutMs as number }
    expect(() => createMtlsConnector(gateway(), rules)).toThrow(/timeoutMs/)
  })
})

describe('authorizers', () => {
  const id = SpiffeId.parse(GATEWAY)
  it('anyId takes everybody', () => {
    expect(anyId()(id)).toBe(true)
  })

  it('memberOf takes the members of one domain', () => {
    expect(memberOf('example.org')(id)).toBe(true)
    expect(memberOf('partner.test')(id)).toBe(false)
    expect(memberOf('org')(id)).toBe(false)
    expect(memberOf('spiffe://example.org')(id)).toBe(true)
    expect(() => memberOf('Not A Domain')).toThrow(SpiffeError)
    expect(() => memberOf(ORDERS)).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_TRUST_DOMAIN' }))
  })

  it('oneOf takes whole IDs', () => {
    expect(oneOf(ORDERS, GATEWAY)(id)).toBe(true)
    expect(oneOf(ORDERS)(id)).toBe(false)
    expect(oneOf(`${GATEWAY}/admin`)(id)).toBe(false)
    expect(() => oneOf()).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_CONFIG' }))
    expect(() => oneOf('spiffe://example.org')).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_ID' }))
    expect(() => oneOf('https://example.org/x')).toThrow(SpiffeError)
  })
})
