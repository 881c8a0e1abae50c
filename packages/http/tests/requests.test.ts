import { once } from 'node:events'
import http, { type ClientRequest, type RequestOptions } from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NOBODY, servedTo, type User, whose } from '../../../tests/outbound/accounts.js'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import {
  caller,
  deepWithin,
  gatedCache,
  kest,
  operationsIn,
  within,
} from '../../../tests/outbound/services.js'
import { patchHttp, type Unpatch } from '../src/index.js'
import { sendRequest } from './support/clients.js'

/** Taken out of the module before it is patched, as a library may that was loaded first. */
const { request: captured } = http

let hop2: TestServer
let stranger: TestServer
let unpatch: Unpatch
beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
})
beforeEach(() => {
  unpatch = patchHttp({ kest, propagateTo: [hop2.origin] })
})
afterEach(() => {
  unpatch()
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

/** The operations whose passports hop2 was sent. */
const arrived = () => Promise.all(hop2.received.map(({ headers }) => operationsIn(headers)))

/** What becomes of a request: its answer's status, or its error. */
function outcome(request: ClientRequest): Promise<unknown> {
  return new Promise((resolve) => {
    request.on('error', resolve).on('response', (response) => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
  })
}

/** A caller whose passports are too large for a header, and are stored when it is told to. */
function slowly(): {
  deep<T>(fn: () => T): Promise<Awaited<T>>
  readonly asked: Promise<void>
  open(): void
} {
  const { provider, asked, open } = gatedCache()
  const by = caller({ cache: provider })
  unpatch()
  unpatch = patchHttp({ kest: by, propagateTo: [hop2.origin] })
  return { deep: (fn) => deepWithin(12, by, fn), asked, open }
}

describe('the forms of a request', () => {
  it.each<[string, (url: URL) => ClientRequest]>([
    ['text', (url) => http.request(url.href)],
    ['text and options', (url) => http.request(url.href, { method: 'POST' })],
    ['a URL', (url) => http.request(url)],
    ['a URL and a callback', (url) => http.request(url, () => {})],
    ['options', ({ hostname, port }) => http.request({ hostname, port })],
    ['options without an agent', (url) => http.request(url, { agent: false })],
    [
      'options without a prototype',
      ({ hostname, port }) => http.request({ __proto__: null, hostname, port } as never),
    ],
    ['the class', ({ hostname, port }) => new http.ClientRequest(`http://${hostname}:${port}`)],
    ['get', (url) => http.get(url)],
    ['a request that was taken out of the module before', (url) => captured(url)],
    [
      'createConnection without an agent',
      (url) => http.request(url, { createConnection: () => net.connect(Number(url.port), url.hostname) }),
    ],
  ])('F-CP-03 carries the passport, made by %s', async (_, make) => {
    await within('orders.list', async () => {
      const request = make(new URL(`${hop2.origin}/x`))
      request.end()
      expect(await outcome(request)).toBe(200)
    })
    expect(await arrived()).toEqual([['orders.list']])
  })

  const HEADERS: readonly (readonly [string, unknown])[] = [
    ['an object', { Baggage: 'a=1,kest.user=eve', BAGGAGE2: 'x', 'x-two': ['1', '2'] }],
    ['an object with two lines', { baggage: ['a=1', 'kest.user=eve'], 'x-two': ['1', '2'] }],
    ['a flat list', ['Host', 'h', 'baggage', 'a=1', 'x-two', '1', 'Baggage', 'kest.user=eve', 'X-Two', '2']],
    [
      'a list of pairs',
      [
        ['Host', 'h'],
        ['baggage', 'a=1'],
        ['x-two', '1'],
        ['x-two', '2'],
        ['baggage', 'kest.user=eve'],
      ],
    ],
    [
      'a flat list with values that are lists',
      ['host', 'h', 'baggage', ['a=1', 'kest.user=eve'], 'x-two', ['1', '2']],
    ],
  ]
  it.each(HEADERS)('K-ONE sends one baggage, and all other headers, given %s', async (_, headers) => {
    await within('orders.list', () =>
      sendRequest(`${hop2.origin}/x`, { method: 'POST', headers: headers as never, body: 'x' }),
    )
    const [received] = hop2.received
    expect(received?.body).toBe('x')
    expect(received?.headers['x-two']).toBe('1, 2')
    expect(received?.headers['baggage']).toMatch(/^kest\.passport=[^,]+,kest\.chain_tip=\w+,a=1$/)
  })

  it.each(HEADERS)('K-SCOPE sends a stranger nothing of ours, given %s', async (_, headers) => {
    await within('orders.list', () => sendRequest(`${stranger.origin}/x`, { headers: headers as never }))
    expect(stranger.received.map(showsKest)).toEqual([false])
    expect(stranger.received[0]?.headers['baggage']).toBe('a=1')
  })

  it('headers are judged as they are when they are sent, and may be set until then', async () => {
    await within('orders.list', async () => {
      const request = http.request(hop2.origin)
      request.setHeader('baggage', ['kest.user=eve', 'b=2'])
      request.appendHeader('x-other', '1')
      request.end()
      expect(await outcome(request)).toBe(200)
      expect(() => request.setHeader('x', '1')).toThrow(
        expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }),
      )
    })
    expect(hop2.received[0]?.headers['baggage']).toMatch(/^kest\.passport=.*,b=2$/)
    expect(hop2.received[0]?.headers['x-other']).toBe('1')
  })

  it('what Node refuses is refused by Node, in its own words', () => {
    const wrong: readonly unknown[][] = [
      ['no url'],
      [{ headers: ['a'] }],
      [{ headers: [['a']] }],
      [{ headers: { 'a b': '1' } }],
      [{ headers: ['a b', '1'] }],
      [{ headers: { expect: '100-continue', 'a b': '1' } }],
      [{ host: 7 }],
      [{ protocol: 'ftp:' }],
      [{ path: '/ x' }],
    ]
    for (const args of wrong) {
      const failure = (make: (...args: never[]) => unknown) => {
        try {
          make(...(args as never[]))
        } catch (error) {
          return error
        }
        return expect.fail('was made')
      }
      const ours = failure(http.request)
      unpatch()
      expect(ours).toEqual(failure(http.request))
      unpatch = patchHttp({ kest, propagateTo: [hop2.origin] })
    }
  })
})

describe('Expect', () => {
  it.each([
    ['an object', { Expect: '100-continue', 'content-length': '4', baggage: 'kest.user=eve' }],
    ['a list', ['host', 'h', 'expect', '100-continue', 'content-length', '4', 'baggage', 'kest.user=eve']],
  ])('is sent when the request is made, with the passport, and the body follows: %s', async (_, headers) => {
    await within('orders.list', async () => {
      const request = http.request(hop2.origin, { method: 'PUT', headers: headers as never })
      await once(request, 'continue')
      request.end('body')
      expect(await outcome(request)).toBe(200)
    })
    expect(await arrived()).toEqual([['orders.list']])
    expect(hop2.received[0]).toMatchObject({
      body: 'body',
      headers: { expect: '100-continue', 'content-length': '4' },
    })
    expect(hop2.received[0]?.headers['baggage']).not.toContain('eve')
  })

  it('waits while the passport is stored', async () => {
    const { deep, asked, open } = slowly()
    await deep(async () => {
      const request = http.request(hop2.origin, { method: 'PUT', headers: { expect: '100-continue' } })
      const continued = once(request, 'continue')
      await asked
      open()
      await continued
      request.end('body')
      expect(await outcome(request)).toBe(200)
    })
    expect(hop2.received[0]).toMatchObject({ body: 'body' })
  })

  it.each([
    ['a list', ['host', 'h', 'baggage', 'a=1, b=2']],
    ['Expect', { expect: '100-continue', baggage: 'a=1, b=2' }],
  ])(
    'K-SCOPE what Node has written before Kest could see it is sent where nothing has to be changed, and refused elsewhere: %s',
    async (_, headers) => {
      const options = (more: string): RequestOptions => ({
        method: 'PUT',
        headers: Array.isArray(headers)
          ? [...headers, 'baggage', more]
          : ({ ...headers, Baggage: `${headers.baggage},${more}` } as never),
      })
      const put = (url: string, more: string) => {
        const request = captured(url, options(more))
        request.end('x')
        return outcome(request)
      }
      await within('orders.list', async () => {
        expect(await put(stranger.origin, 'c=3')).toBe(200)
        expect(await put(stranger.origin, '%6Best.user=eve')).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
        expect(await put(hop2.origin, 'c=3')).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
      })
      expect(await put(hop2.origin, 'c=3')).toBe(200)
      expect(stranger.received.map(showsKest)).toEqual([false])
      expect(hop2.received.map(showsKest)).toEqual([false])
    },
  )
})

describe('whose passport it is', () => {
  it('K-STATE that of whoever makes the request, whoever sends it', async () => {
    const request = await within('alice', () => {
      const made = http.request(hop2.origin, { method: 'POST' })
      return new Promise<ClientRequest>((resolve) => {
        void within('bob', () => made.end('x')).then(() => resolve(made))
      })
    })
    expect(await outcome(request)).toBe(200)
    expect(await arrived()).toEqual([['alice']])
  })

  it('K-STATE of whoever is over by the first flush it is nobody’s, and nothing is sent', async () => {
    const request = await within('alice', () => http.request(hop2.origin))
    void within('bob', () => request.end('x'))
    expect(await outcome(request)).toMatchObject({ code: 'ERR_KEST_STATE_ENDED' })
    expect(hop2.received).toEqual([])
  })

  it.each([false, true])(
    'K-AMBIENT every listener on a shared connection runs as its own user, and calls so (claim check: %s)',
    async (large) => {
      const by = large ? caller({ cache: gatedOpen() }) : kest
      unpatch()
      unpatch = patchHttp({ kest: by, propagateTo: [hop2.origin] })
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      const heard: [User, string, string][] = []
      const users: User[] = ['alice', null, 'bob', 'carol', null, 'dave']
      const serve = <T>(user: User, fn: () => Promise<T>) =>
        large && user !== null ? deepWithin(12, by, fn) : servedTo(user, fn)
      const who = () => (large ? (whose() === NOBODY ? NOBODY : 'deep') : whose())
      await Promise.all(
        users.map((user) =>
          serve(user, async () => {
            const expected = user === null ? NOBODY : who()
            const hear = (event: string) => () => heard.push([expected, event, who()])
            const request = http.request(`${hop2.origin}/first`, { agent, method: 'POST' })
            await new Promise<void>((resolve, reject) => {
              request.on('error', reject).on('response', (response) => {
                hear('response')()
                response.on('data', hear('data')).on('end', () => {
                  hear('end')()
                  // What a client does that follows, or tries again.
                  const again = http.get(`${hop2.origin}/again`, { agent })
                  void outcome(again).then(() => resolve())
                })
              })
              request.write('x', hear('write'))
              request.end('y', hear('end callback'))
            })
          }),
        ),
      )
      expect(heard.filter(([expected, , by]) => expected !== by)).toEqual([])
      expect(heard.filter(([, event]) => event === 'response')).toHaveLength(users.length)
      const again = hop2.received.filter(({ url }) => url === '/again')
      const carried = await Promise.all(
        again.map(async (one) => (showsKest(one) ? (await operationsIn(one.headers)).join() : NOBODY)),
      )
      expect(carried.map((name) => (name.startsWith('deep') ? 'deep' : name)).sort()).toEqual(
        users.map((user) => (user === null ? NOBODY : large ? 'deep' : user)).sort(),
      )
      agent.destroy()
    },
  )
})

describe('what has to be waited for', () => {
  it('K-CLAIM holds what is written meanwhile, and sends all of it, in order', async () => {
    const { deep, asked, open } = slowly()
    const told: string[] = []
    await deep(async () => {
      const request = http.request(hop2.origin, { method: 'POST' })
      request.flushHeaders()
      expect(request.write('a', () => told.push('a'))).toBe(false)
      expect(request.write(Buffer.from('b'), () => told.push('b'))).toBe(false)
      const drained = once(request, 'drain')
      await asked
      expect(request.headersSent).toBe(false)
      open()
      await drained
      request.write('c', 'utf8', () => told.push('c'))
      request.end('d', () => told.push('end'))
      expect(await outcome(request)).toBe(200)
    })
    expect(hop2.received[0]?.body).toBe('abcd')
    expect(told).toEqual(['a', 'b', 'c', 'end'])
    expect((await arrived())[0]).toHaveLength(12)
  })

  it('K-CLAIM what listeners and callbacks throw is theirs, and no error of the request', async () => {
    const thrown: unknown[] = []
    process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error))
    try {
      const { deep, asked, open } = slowly()
      await deep(async () => {
        const request = http.request(hop2.origin, { method: 'POST' })
        request.write('a')
        request.once('drain', () => {
          request.end('b')
          throw new Error('of a listener')
        })
        await asked
        open()
        expect(await outcome(request)).toBe(200)
      })
      // Another passport, which is to be stored first.
      await deep(async () => {
        const left = http.request(hop2.origin, { method: 'POST' })
        const failed = outcome(left)
        left.write('x', () => {
          throw new Error('of a callback')
        })
        const told = new Promise((resolve) => left.write('y', resolve))
        left.destroy()
        expect(await told).toMatchObject({ code: 'ERR_STREAM_DESTROYED' })
        expect(await failed).toMatchObject({ code: 'ECONNRESET' })
      })
    } finally {
      process.setUncaughtExceptionCaptureCallback(null)
    }
    expect(hop2.received.map(({ body }) => body)).toEqual(['ab'])
    expect(thrown).toMatchObject([{ message: 'of a listener' }, { message: 'of a callback' }])
  })

  it('K-CLAIM a stream that is piped waits, and arrives whole', async () => {
    const { deep, asked, open } = slowly()
    const chunk = Buffer.alloc(64 * 1024, 'x')
    await deep(async () => {
      const request = http.request(hop2.origin, { method: 'POST' })
      const answered = outcome(request)
      const piped = pipeline(Readable.from(Array.from({ length: 40 }, () => chunk)), request)
      await asked
      open()
      await piped
      expect(await answered).toBe(200)
    })
    expect(hop2.received[0]?.body).toHaveLength(40 * chunk.length)
  })

  it('K-CLAIM wrong chunks are an error of the request when it is sent', async () => {
    const { deep, asked, open } = slowly()
    await deep(async () => {
      const request = http.request(hop2.origin, { method: 'POST' })
      request.write(7 as never)
      await asked
      open()
      expect(await outcome(request)).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    })
  })

  it('K-CLAIM an agent that asks for the header early gets none that lacks the passport', async () => {
    const { deep, asked, open } = slowly()
    await deep(async () => {
      const request = http.request(hop2.origin)
      const early = request as unknown as { _implicitHeader(): void; _header: unknown }
      early._implicitHeader()
      await asked
      expect(early._header).toBeNull()
      request.end()
      open()
      expect(await outcome(request)).toBe(200)
    })
    expect((await arrived())[0]).toHaveLength(12)
  })

  it('K-CLAIM whoever leaves meanwhile sends nothing, and is told of what he wrote', async () => {
    const { deep, asked, open } = slowly()
    await deep(async () => {
      const request = http.request(hop2.origin, { method: 'POST' })
      const failed = outcome(request)
      const told = new Promise((resolve) => request.write('x', resolve))
      await asked
      request.destroy()
      open()
      expect(await told).toMatchObject({ code: 'ERR_STREAM_DESTROYED' })
      expect(await failed).toMatchObject({ code: 'ECONNRESET' })
      await sendRequest(`${stranger.origin}/after`)
    })
    expect(hop2.received).toEqual([])
  })
})

describe('a refusal', () => {
  it('K-SIZE is an error of the request, once, before a byte is sent, whatever is written after it', async () => {
    const bytes: Buffer[] = []
    const silent = net.createServer(
      (socket) => void socket.on('data', (data) => bytes.push(data)).on('error', () => {}),
    )
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    unpatch()
    const origin = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    unpatch = patchHttp({ kest: caller({ propagation: { maxMemberLength: 500 } }), propagateTo: [origin] })
    const errors: unknown[] = []
    const told: unknown[] = []
    await within('orders.list', async () => {
      const request = http.request(origin, { method: 'POST' })
      request.on('error', (error) => errors.push(error))
      expect(request.write('x', (error) => told.push(error))).toBe(false)
      request.write('y')
      expect(request.end('z', () => told.push('end'))).toBe(request)
      await new Promise((resolve) => request.on('close', resolve))
    })
    expect(errors).toMatchObject([{ code: 'ERR_KEST_TOO_LARGE' }])
    expect(told[0]).toBe(errors[0])
    expect(bytes).toEqual([])
    silent.close()
  })

  it('is none for a request that was given up before it began', async () => {
    unpatch()
    unpatch = patchHttp({ kest, propagateTo: () => expect.fail('asked') })
    await within('orders.list', async () => {
      const request = http.request(hop2.origin)
      request.destroy()
      request.end()
      expect(await outcome(request)).toMatchObject({ code: 'ECONNRESET' })
    })
    expect(hop2.received).toEqual([])
  })
})

describe('connections that become something else', () => {
  let server: http.Server
  let origin: string
  const heads: http.IncomingMessage[] = []
  const sockets = new Set<Socket>()
  beforeAll(async () => {
    server = http.createServer()
    server.on('connection', (socket) => sockets.add(socket))
    server.on('upgrade', (incoming, socket) => {
      heads.push(incoming)
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.pipe(socket)
    })
    server.on('connect', (incoming, socket) => {
      heads.push(incoming)
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  beforeEach(() => {
    unpatch()
    unpatch = patchHttp({ kest, propagateTo: [origin] })
    heads.length = 0
  })
  afterAll(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  async function echoed(event: 'upgrade' | 'connect', options: RequestOptions): Promise<string> {
    return await within('orders.list', async () => {
      const request = http.request(origin, options)
      request.end()
      const [, socket] = (await once(request, event)) as [unknown, Socket]
      socket.write('hello')
      const [data] = await once(socket, 'data')
      socket.destroy()
      return String(data)
    })
  }

  it('an upgrade carries the passport, and goes on as ever', async () => {
    expect(await echoed('upgrade', { headers: { connection: 'Upgrade', upgrade: 'echo' } })).toBe('hello')
    expect(await operationsIn(heads[0]!.headers)).toEqual(['orders.list'])
  })

  it('K-SCOPE a tunnel that is asked of a proxy carries nothing of ours', async () => {
    const options = { method: 'CONNECT', path: 'hop3:443', headers: { baggage: 'a=1,kest.user=eve' } }
    expect(await echoed('connect', options)).toBe('hello')
    expect(heads[0]?.headers['baggage']).toBe('a=1')
  })
})

/** The shared cache, that takes its time. */
function gatedOpen() {
  const { provider, open } = gatedCache()
  open()
  return provider
}
