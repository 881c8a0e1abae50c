import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NOBODY, servedTo, type User, whose } from '../../../tests/outbound/accounts.js'
import { kest } from '../../../tests/outbound/services.js'
import { withKest } from '../src/index.js'
import { undicis } from './support/undicis.js'

const USERS: readonly User[] = ['bob', null, 'carol']

let origin: string
let close: () => Promise<void>

/** Echoes, upgrades and tunnels. A chunk that is sent on an upgraded connection comes back as it was. */
beforeEach(async () => {
  const server = createServer((request, response) => void request.pipe(response))
  server.on('upgrade', ({ headers }, socket) => {
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    const protocol = headers.upgrade
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    if (protocol === 'websocket') socket.end(Buffer.from([0x81, 2, 0x68, 0x69, 0x88, 0]))
    else socket.pipe(socket)
  })
  server.on('connect', (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.pipe(socket)
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
})
afterEach(() => close())

/** Collects in whose context each of these happens. */
function listener(seen: Set<string>) {
  return () => void seen.add(whose())
}

type Use = (
  dispatcher: Dispatcher,
  seen: Set<string>,
  undici: (typeof undicis)[number][1],
) => Promise<unknown>

const uses: Readonly<Record<string, Use>> = {
  'request: the events of its body': async (dispatcher, seen) => {
    const { body } = await dispatcher.request({
      origin,
      path: '/',
      method: 'POST',
      body: 'x'.repeat(300_000),
    })
    for (const event of ['data', 'end', 'close']) body.on(event, listener(seen))
    await once(body, 'close')
  },
  'request: an answer that ends too early': async (dispatcher, seen) => {
    const { body } = await dispatcher.request({
      origin,
      path: '/',
      method: 'POST',
      body: 'x'.repeat(300_000),
    })
    body.on('error', listener(seen))
    body.once('data', () => body.destroy(new Error('enough')))
    await new Promise((resolve) => body.on('close', resolve))
  },
  'request: its callback': (dispatcher, seen) =>
    new Promise<void>((resolve) => {
      dispatcher.request({ origin, path: '/', method: 'GET' }, (_, { body }) => {
        seen.add(whose())
        body.on('data', listener(seen)).on('close', resolve)
      })
    }),
  'stream: factory, what it writes to, and callback': (dispatcher, seen) =>
    new Promise((resolve, reject) => {
      const write: Writable['_write'] = (_chunk, _encoding, done) => {
        seen.add(whose())
        done()
      }
      dispatcher.stream(
        { origin, path: '/', method: 'POST', body: 'text' },
        () => {
          seen.add(whose())
          return new Writable({ write })
        },
        (error, data) => {
          seen.add(whose())
          if (error === null) resolve(data)
          else reject(error)
        },
      )
    }),
  'pipeline: handler, and the events of what it answers': async (dispatcher, seen) => {
    const duplex = dispatcher.pipeline({ origin, path: '/', method: 'POST' }, ({ body }) => {
      seen.add(whose())
      return body.on('data', listener(seen))
    })
    for (const event of ['data', 'end']) duplex.on(event, listener(seen))
    duplex.end('text')
    await once(duplex, 'close')
  },
  'upgrade: the events of the connection': async (dispatcher, seen, undici) => {
    const { socket } = await undici.upgrade(origin, { dispatcher, protocol: 'echo' })
    for (const event of ['data', 'end', 'close']) socket.on(event, listener(seen))
    socket.end('text')
    await once(socket, 'close')
  },
  'connect: the events of the tunnel': async (dispatcher, seen) => {
    const { socket } = await dispatcher.connect({ origin, path: 'hop3:443' })
    for (const event of ['data', 'end', 'close']) socket.on(event, listener(seen))
    socket.end('text')
    await once(socket, 'close')
  },
  'WebSocket: its events': async (dispatcher, seen, undici) => {
    const socket = new undici.WebSocket(origin.replace('http', 'ws'), { dispatcher })
    for (const event of ['open', 'message'] as const) socket.addEventListener(event, listener(seen))
    await new Promise<void>((resolve) => socket.addEventListener('close', () => resolve()))
  },
  'request: a generator as its body': async (dispatcher, seen) => {
    async function* chunks() {
      seen.add(whose())
      yield 'one'
      seen.add(whose())
    }
    const { body } = await dispatcher.request({ origin, path: '/', method: 'POST', body: chunks() as never })
    expect(await body.text()).toBe('one')
  },
  'request: a stream as its body': async (dispatcher, seen) => {
    const chunks = ['one', 'two', null]
    const sent = new Readable({
      read() {
        seen.add(whose())
        void this.push(chunks.shift())
      },
      destroy(error, done) {
        seen.add(whose())
        done(error)
      },
    })
    for (const event of ['end', 'close']) sent.on(event, listener(seen))
    const { body } = await dispatcher.request({ origin, path: '/', method: 'POST', body: sent })
    expect(await body.text()).toBe('onetwo')
  },
  'fetch: a stream as its body, and the reading of the answer': async (dispatcher, seen, undici) => {
    let n = 0
    const body = new ReadableStream({
      pull(controller) {
        seen.add(whose())
        if (n++ < 3) controller.enqueue(Buffer.alloc(100_000))
        else controller.close()
      },
    })
    const init = { method: 'POST', body, duplex: 'half', dispatcher } as const
    const response = await undici.fetch(origin, init as never)
    for await (const _ of response.body!) seen.add(whose())
  },
}

describe.each(undicis)('K-AMBIENT %s, on a connection that another has opened', (_name, undici) => {
  it.each(Object.entries(uses))('%s', async (_use, use) => {
    for (const opener of ['alice', null]) {
      for (const user of USERS) {
        const dispatcher = withKest(new undici.Agent({ connections: 1 }), { kest, propagateTo: [origin] })
        await servedTo(opener, async () => {
          const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' })
          await body.dump()
        })
        const seen = new Set<string>()
        // Waits for its turn.
        const before = servedTo('dave', async () => {
          const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' })
          await body.dump()
        })
        await Promise.all([before, servedTo(user, () => use(dispatcher as Dispatcher, seen, undici))])
        expect([...seen]).toEqual([user ?? NOBODY])
        await dispatcher.destroy()
      }
    }
  })
})
