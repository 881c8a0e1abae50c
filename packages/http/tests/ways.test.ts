import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import axios from 'axios'
import { HttpProxyAgent } from 'http-proxy-agent'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  redirecting as redirects,
  showsKest,
  startServer,
  type TestServer,
} from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { createKestAgent, patchHttp, type Unpatch } from '../src/index.js'
import { certificate } from './support/certificate.js'
import { sendRequest } from './support/clients.js'

let hop2: TestServer
let stranger: TestServer
let redirecting: TestServer
let unpatch: Unpatch
beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
  redirecting = await startServer(redirects())
})
beforeEach(() => patch(hop2.origin))
afterEach(() => {
  unpatch()
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2, stranger, redirecting].map((server) => server.close())))

function patch(...propagateTo: string[]): void {
  unpatch?.()
  unpatch = patchHttp({ kest, propagateTo })
}

const call = (url: string, options: http.RequestOptions) =>
  within('orders.list', () => sendRequest(url, options as never))
type Handed = [request: http.ClientRequest, options: http.RequestOptions]
const addRequestOf = (agent: object) => Reflect.get(agent, 'addRequest') as (...args: Handed) => void
const port = ({ origin }: TestServer) => Number(new URL(origin).port)

/** A server of https, what it was asked, and how to ask it within an operation. */
async function secureServer() {
  const identity = await certificate()
  const heard: http.IncomingHttpHeaders[] = []
  const server = https.createServer(identity, ({ headers }, response) => {
    heard.push(headers)
    response.end()
  })
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = (options: https.RequestOptions = {}) =>
    within(
      'orders.list',
      () =>
        new Promise((resolve, reject) => {
          const request = https.get(`${origin}/x`, { ca: identity.cert, ...options }, (response) => {
            response.resume().on('end', resolve)
          })
          request.on('error', reject)
        }),
    )
  return { origin, heard, get, server }
}

describe('K-SCOPE a request is judged by where it really goes', () => {
  it('to where the agent was told, whatever it says itself', async () => {
    const agent = new http.Agent({ port: port(stranger) } as http.AgentOptions)
    await call(hop2.origin, { agent })
    expect(stranger.received.map(showsKest)).toEqual([false])
    await call(stranger.origin, { agent: new http.Agent({ port: port(hop2) } as http.AgentOptions) })
    expect(hop2.received.map(showsKest)).toEqual([true])
  })

  it('to where an agent of a class of its own says that it goes', async () => {
    const sidecar = () => {
      const agent = new http.Agent()
      return Object.assign(agent, {
        addRequest(request: http.ClientRequest, options: http.RequestOptions) {
          Object.assign(options, { host: '127.0.0.1', port: port(stranger) })
          addRequestOf(http.Agent.prototype).call(agent, request, options)
        },
      })
    }
    const url = `http://localhost:${port(stranger)}`
    patch(hop2.origin, url)
    await call(url, { agent: sidecar() })
    unpatch()
    const alone = createKestAgent(sidecar(), { kest, propagateTo: [url] })
    await call(url, { agent: alone })
    expect(stranger.received.map(showsKest)).toEqual([false, false])
  })

  it('to where the last of several agents takes it, and not at all once it has the passport', async () => {
    const handingTo = (other: object, late: boolean) => {
      const handOn = (...args: Handed) => addRequestOf(other).apply(other, args)
      return {
        protocol: 'http:',
        addRequest: (...args: Handed) => (late ? process.nextTick(handOn, ...args) : handOn(...args)),
      } as unknown as http.Agent
    }
    const elsewhere = () => new http.Agent({ port: port(stranger) } as http.AgentOptions)
    const proxy = () => new HttpProxyAgent(stranger.origin)
    for (const other of [elsewhere, proxy]) {
      await call(hop2.origin, { agent: handingTo(other(), false) })
      const late = call(hop2.origin, { agent: handingTo(other(), true) })
      await expect(late).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    }
    expect(stranger.received.map(showsKest)).toEqual([false, false])
    await call(hop2.origin, { agent: handingTo(new http.Agent(), true) })
    expect(hop2.received.map(showsKest)).toEqual([true])
  })

  it('to what Node has read of its options, in whichever form they are', async () => {
    const { href, protocol, hostname, port: at, pathname } = new URL(hop2.origin)
    await call({ href, protocol, hostname, port: at, pathname, search: '', hash: '' } as never, {})
    expect(hop2.received.map(showsKest)).toEqual([true])
    // What is inherited counts for nothing.
    const inheriting = Object.create({ host: '127.0.0.1', port: at })
    inheriting.createConnection = () => net.connect(port(stranger), '127.0.0.1')
    const [response] = await within('orders.list', () => once(http.get(inheriting), 'response'))
    await once(response.resume(), 'end')
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('K-REDIRECT a redirect is relative to what the caller asked, whatever the agent was told', async () => {
    const agent = new http.Agent({ host: '127.0.0.1', port: port(redirecting) } as http.AgentOptions)
    patch(redirecting.origin)
    await within('orders.list', async () => {
      await sendRequest(`http://orders.test/to?${encodeURIComponent('http://orders.test/x')}`, { agent })
      const followed = sendRequest('http://orders.test/x', { agent })
      await expect(followed).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    })
    expect(redirecting.received.map(({ url }) => url.split('?')[0])).toEqual(['/to'])
    redirecting.received.length = 0
  })

  it('not to where its header host says', async () => {
    await call(stranger.origin, { headers: { host: new URL(hop2.origin).host } })
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('a socket path is never in scope', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kest-http-'))
    const socketPath = join(folder, 's')
    const heard: unknown[] = []
    const server = http.createServer(({ headers }, response) => {
      heard.push(headers['baggage'])
      response.end()
    })
    server.keepAliveTimeout = 0
    server.listen(socketPath)
    await once(server, 'listening')
    const headers = { baggage: 'a=1,kest.user=eve' }
    await call(hop2.origin, { socketPath, headers })
    await call(hop2.origin, { agent: new http.Agent({ socketPath } as http.AgentOptions), headers })
    expect(heard).toEqual(['a=1', 'a=1'])
    server.close()
    server.closeAllConnections()
    await rm(folder, { recursive: true })
  })

  it('https and http are two', async () => {
    const { origin, heard, get, server } = await secureServer()
    patch(origin.replace('https:', 'http:'))
    await get()
    patch(origin)
    await get()
    expect(heard.map(({ baggage }) => baggage !== undefined)).toEqual([false, true])
    expect(await operationsIn(heard[1]!)).toEqual(['orders.list'])
    server.close()
    server.closeAllConnections()
  })
})

describe('K-SCOPE plain HTTP through a proxy is judged by the origin of the proxy', () => {
  // What is asked for needs no server: a proxy would go there.
  const ASKED = 'http://hop3.test'
  const proxied = new http.Agent({ proxyEnv: { HTTP_PROXY: 'http://proxy.test' } } as http.AgentOptions)
  const nodeProxies = Object.getOwnPropertySymbols(proxied).some(
    ({ description }) => description === 'kProxyConfig',
  )

  const ways: Record<string, (url: string, proxy: string) => Promise<unknown>> = {
    'the proxy of axios': (url, proxy) => {
      const { hostname: host, port } = new URL(proxy)
      return within('orders.list', () =>
        axios.get(url, { proxy: { protocol: 'http', host, port: Number(port) } }),
      )
    },
    'http-proxy-agent': (url, proxy) => call(url, { agent: new HttpProxyAgent(proxy) }),
    'a path that is a URL': (url, proxy) => call(proxy, { path: url }),
    ...(nodeProxies && {
      'a proxy of Node': (url: string, proxy: string) =>
        call(url, { agent: new http.Agent({ proxyEnv: { HTTP_PROXY: proxy } } as http.AgentOptions) }),
    }),
  }

  it.each(Object.entries(ways))('%s', async (_, send) => {
    patch(ASKED)
    await send(`${ASKED}/x`, stranger.origin)
    expect(stranger.received.map(({ url }) => url)).toEqual([`${ASKED}/x`])
    expect(stranger.received.map(showsKest)).toEqual([false])
    patch(hop2.origin)
    await send(`${ASKED}/x`, hop2.origin)
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it.skipIf(nodeProxies)('a proxy of Node: DOES NOT RUN, agents of this Node take no proxy', () => {
    expect(Number(process.versions.node.split('.')[0])).toBeLessThan(24)
  })

  it('a proxy that cannot be named gets nothing that would be in scope, and is refused it', async () => {
    const agents = [
      Object.assign(new http.Agent(), { proxy: new URL(stranger.origin.replace('http:', 'socks5:')) }),
      Object.assign(new http.Agent(), { getProxyForUrl: () => stranger.origin }),
    ]
    for (const agent of agents) {
      await expect(call(hop2.origin, { agent })).rejects.toMatchObject({
        code: 'ERR_KEST_OUTBOUND',
        message: expect.stringContaining('proxy'),
      })
      await call(stranger.origin, { agent, headers: { baggage: 'kest.user=eve' } })
    }
    expect(hop2.received).toEqual([])
    expect(stranger.received.map(showsKest)).toEqual([false, false])
    // Without a passport there is nothing to keep.
    await sendRequest(hop2.origin, { agent: agents[0]! })
    expect(hop2.received.map(showsKest)).toEqual([false])
  })

  it('a path that turns into a URL on its way is one of those', async () => {
    class Rewriting extends http.Agent {
      addRequest(request: http.ClientRequest, ...rest: unknown[]): void {
        Reflect.apply(Reflect.get(http.Agent.prototype, 'addRequest') as () => void, this, [
          request,
          ...rest,
        ] as never)
        request.path = `${ASKED}${request.path}`
      }
    }
    await expect(call(hop2.origin, { agent: new Rewriting() })).rejects.toMatchObject({
      code: 'ERR_KEST_OUTBOUND',
    })
    expect(hop2.received).toEqual([])
  })

  it('a tunnel shows the proxy nothing, and who is behind it is judged by himself', async () => {
    const { origin, heard, get, server } = await secureServer()
    const asked: http.IncomingHttpHeaders[] = []
    const proxy = http.createServer().on('connect', ({ url, headers }, socket) => {
      asked.push(headers)
      const { port } = new URL(`http://${url}`)
      const through = net.connect(Number(port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(through).pipe(socket)
      })
      for (const end of [through, socket]) end.on('error', () => {})
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const agent = new HttpsProxyAgent(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
    // The agent tells TLS no name for an address.
    const checkServerIdentity = () => undefined
    patch(origin)
    await get({ agent, checkServerIdentity })
    patch(hop2.origin)
    await get({ agent, checkServerIdentity })
    expect(asked).toHaveLength(2)
    expect(asked.filter((headers) => /kest/i.test(JSON.stringify(headers)))).toEqual([])
    expect(await operationsIn(heard[0]!)).toEqual(['orders.list'])
    expect(heard[1]?.['baggage']).toBeUndefined()
    server.close()
    server.closeAllConnections()
    proxy.close()
  })
})
