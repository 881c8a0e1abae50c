import { once } from 'node:events'
import http, { type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import httpProxy from 'http-proxy'
import { createProxyMiddleware } from 'http-proxy-middleware'
import nock from 'nock'
import nodeFetch from 'node-fetch'
import superagent from 'superagent'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { patchHttp, type Unpatch } from '../src/index.js'
import { sendRequest } from './support/clients.js'

/** It has no types of its own. */
const nodeFetch2 = createRequire(import.meta.url)('node-fetch2') as typeof nodeFetch

let hop2: TestServer
let stranger: TestServer
let unpatch: Unpatch
beforeAll(async () => {
  hop2 = await startServer(redirecting(307))
  stranger = await startServer(redirecting(307))
})
beforeEach(() => {
  unpatch = patchHttp({ kest, propagateTo: [hop2.origin, 'http://hop3.test'] })
})
afterEach(() => {
  unpatch()
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

const arrived = () => Promise.all(hop2.received.map(({ headers }) => operationsIn(headers)))
const NODE = Number(process.versions.node.split('.')[0])

/** Posts a text, and answers what came back. */
type Post = (url: string, body: string, headers: Record<string, string>) => Promise<string>

const CLIENTS: Record<string, Post> = {
  'node-fetch 3': async (url, body, headers) =>
    (await nodeFetch(url, { method: 'POST', body, headers })).text(),
  'node-fetch 2': async (url, body, headers) =>
    (await nodeFetch2(url, { method: 'POST', body, headers })).text(),
  'node-fetch 3, of a stream': async (url, body, headers) =>
    (await nodeFetch(url, { method: 'POST', body: Readable.from([body]), headers })).text(),
  superagent: async (url, body, headers) =>
    (await superagent.post(url).set(headers).type('text').send(body)).text,
  ...(NODE >= 22 && {
    'got 16': async (url, body, headers) =>
      (await import('got16')).default.post(url, { body, headers }).text(),
  }),
}

it.skipIf(NODE >= 22)('got 16: DOES NOT RUN, it wants Node 22', () => {
  expect(NODE).toBeLessThan(22)
})

describe.each(Object.entries(CLIENTS))('%s', (_, post) => {
  it('F-CP-03 carries the passport, and the body', async () => {
    const answer = within('orders.list', () =>
      post(`${hop2.origin}/x`, 'order', { baggage: 'a=1,kest.user=eve' }),
    )
    expect(await answer).toBe('order')
    expect(await arrived()).toEqual([['orders.list']])
    expect(hop2.received[0]?.headers['baggage']).toMatch(/,a=1$/)
  })

  it('K-SCOPE shows a stranger nothing of ours', async () => {
    await within('orders.list', () => post(`${stranger.origin}/x`, 'order', { baggage: 'a=1,kest.user=eve' }))
    expect(stranger.received.map(showsKest)).toEqual([false])
    expect(stranger.received[0]?.headers['baggage']).toBe('a=1')
  })
})

describe('node-fetch and superagent', () => {
  it('K-REDIRECT follow none with a passport, and to strangers without', async () => {
    const to = (from: TestServer, target: TestServer) =>
      `${from.origin}/to?${encodeURIComponent(`${target.origin}/end`)}`
    for (const get of [nodeFetch, nodeFetch2, (url: string) => superagent.get(url)] as ((
      url: string,
    ) => Promise<unknown>)[]) {
      await within('orders.list', () => get(to(hop2, stranger)))
      const refused = within('orders.list', () => get(to(stranger, hop2)))
      await expect(refused).rejects.toThrow(/a redirect to .* would be followed/)
    }
    expect(hop2.received.map(({ url }) => url.slice(0, 3))).toEqual(['/to', '/to', '/to'])
    expect(stranger.received.filter(showsKest)).toEqual([])
  })
})

/** A server on a port of its own, for the time of one call. */
async function serving<T>(
  listener: RequestListener,
  fn: (origin: string, server: http.Server) => Promise<T>,
): Promise<T> {
  const server = http.createServer(listener)
  // Clients close connections that are idle: a server would do it while one sends.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await fn(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('proxies', () => {
  const headers = { baggage: 'a=1,kest.passport=%5B%22stolen%22%5D' }
  const proxies: Record<string, (target: string) => RequestListener> = {
    'http-proxy': (target) => {
      const proxy = httpProxy.createProxyServer({ target })
      return (request, response) => proxy.web(request, response)
    },
    'http-proxy-middleware': (target) => createProxyMiddleware({ target }) as unknown as RequestListener,
  }

  it.each(Object.entries(proxies))(
    'F-CP-03 K-SCOPE %s forwards as the operation that it runs in, and nothing that came in',
    async (_, proxyTo) => {
      for (const target of [hop2, stranger]) {
        const forward = proxyTo(target.origin)
        // The operation lasts until it is answered.
        const answer = await serving(
          (request, response) =>
            void within('proxied', () => {
              forward(request, response)
              return once(response, 'close')
            }),
          (origin) => sendRequest(`${origin}/x`, { method: 'POST', headers, body: 'order' }),
        )
        expect(answer).toEqual({ status: 200, text: 'order' })
      }
      expect(await arrived()).toEqual([['proxied']])
      expect(hop2.received[0]?.headers['baggage']).toMatch(/,a=1$/)
      expect(stranger.received[0]?.headers['baggage']).toBe('a=1')
    },
  )
})

describe('ws', () => {
  it('F-CP-03 carries the passport in its handshake, and shows a stranger nothing of ours', async () => {
    const heads: http.IncomingMessage[] = []
    await serving(
      () => {},
      async (origin, server) => {
        const sockets = new WebSocketServer({ server })
        sockets.on('connection', (socket, head) => {
          heads.push(head)
          socket.on('message', (data) => socket.send(data))
        })
        for (const scope of [origin, 'http://hop4.test']) {
          unpatch()
          unpatch = patchHttp({ kest, propagateTo: [scope] })
          await within('orders.list', async () => {
            const socket = new WebSocket(origin.replace('http', 'ws'), {
              headers: { baggage: 'kest.user=eve' },
            })
            await once(socket, 'open')
            socket.send('hello')
            expect(String((await once(socket, 'message'))[0])).toBe('hello')
            socket.close()
            await once(socket, 'close')
          })
        }
        sockets.close()
      },
    )
    expect(await operationsIn(heads[0]!.headers)).toEqual(['orders.list'])
    expect(heads[1]?.headers['baggage']).toBeUndefined()
  })
})

describe('nock', () => {
  afterEach(() => {
    nock.cleanAll()
    nock.restore()
  })

  it.each(['before', 'after'])('is shown the passport, where it is activated %s the patch', async (when) => {
    if (when === 'before') {
      unpatch()
      nock.restore()
      nock.activate()
      unpatch = patchHttp({ kest, propagateTo: ['http://hop3.test'] })
    } else if (!nock.isActive()) nock.activate()
    const seen: Record<string, string>[] = []
    nock('http://hop3.test')
      .post('/x', 'order')
      .reply(201, function () {
        seen.push(this.req.headers)
        return 'made'
      })
    const answer = await within('orders.list', () =>
      sendRequest('http://hop3.test/x', { method: 'POST', body: 'order' }),
    )
    expect(answer).toEqual({ status: 201, text: 'made' })
    expect(await operationsIn({ baggage: seen[0]!['baggage'] })).toEqual(['orders.list'])
  })
})

describe('@aws-sdk/client-s3', () => {
  it('PutObject of 3 MB expects an answer first, and arrives whole: in scope, and at a stranger', async () => {
    const body = Buffer.alloc(3 * 1024 * 1024, 'x')
    const heard: { headers: http.IncomingHttpHeaders; length: number }[] = []
    await serving(
      (request, response) =>
        void text(request).then((read) => {
          heard.push({ headers: request.headers, length: read.length })
          response.setHeader('etag', '"x"').end()
        }),
      async (endpoint) => {
        for (const scope of [endpoint, hop2.origin]) {
          unpatch()
          unpatch = patchHttp({ kest, propagateTo: [scope] })
          const client = new S3Client({
            endpoint,
            region: 'eu-central-1',
            forcePathStyle: true,
            credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
            maxAttempts: 1,
          })
          const command = new PutObjectCommand({ Bucket: 'orders', Key: 'x', Body: body })
          await within('orders.list', () => client.send(command))
          client.destroy()
        }
      },
    )
    expect(heard.map(({ headers }) => headers['expect'])).toEqual(['100-continue', '100-continue'])
    expect(heard.every(({ length }) => length >= body.length)).toBe(true)
    expect(await operationsIn(heard[0]!.headers)).toEqual(['orders.list'])
    expect(heard[1]?.headers['baggage']).toBeUndefined()
  })
})
