import * as undici from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  type Answer,
  redirecting,
  showsKest,
  startServer,
  type TestServer,
} from '../../../tests/outbound/server.js'
import { caller, kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { createKestFetch } from '../src/index.js'

let hop2: TestServer
let hop3: TestServer
let stranger: TestServer

const answer: Answer = (request, response) => {
  if (request.url.startsWith('/slow')) return
  if (request.url.startsWith('/cookies')) {
    response.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }).end()
    return
  }
  const status = Number(/^\/to(\d+)/.exec(request.url)?.[1] ?? 302)
  redirecting(status)({ ...request, url: request.url.replace(/^\/to\d+/, '/to') }, response)
}

beforeAll(async () => {
  hop2 = await startServer(answer)
  hop3 = await startServer(answer)
  stranger = await startServer(answer)
})
afterEach(() => {
  for (const { received } of [hop2, hop3, stranger]) received.length = 0
})
afterAll(() => Promise.all([hop2.close(), hop3.close(), stranger.close()]))

/** The types of Node's fetch name the dispatchers of its own undici. */
const over = (dispatcher: undici.Dispatcher): object => ({ dispatcher })

const to = (server: TestServer, path = '/end', status = 302) =>
  `/to${status}?${encodeURIComponent(server.origin + path)}`

const fetches = [
  ['the built-in fetch', globalThis.fetch],
  ['the package’s fetch', undici.fetch as unknown as typeof globalThis.fetch],
] as const

describe.each(fetches)('createKestFetch around %s', (name, inner) => {
  const isBuiltIn = name.includes('built-in')
  const RequestOf = (isBuiltIn ? Request : undici.Request) as typeof Request
  const FormDataOf = (isBuiltIn ? FormData : undici.FormData) as typeof FormData
  const rule = () => ({
    fetch: inner,
    kest,
    propagateTo: [hop2.origin, hop3.origin],
    redirects: 'follow' as const,
  })
  const send: typeof globalThis.fetch = (...args) => createKestFetch(rule())(...args)
  const body = JSON.stringify({ order: 7 })

  it.each<[string, () => Promise<Response>, string]>([
    ['a string', () => send(`${hop2.origin}/x`), ''],
    ['a URL', () => send(new URL('/x', hop2.origin)), ''],
    ['a Request', () => send(new RequestOf(`${hop2.origin}/x`, { referrerPolicy: 'origin' })), ''],
    ['a Request with a body', () => send(new RequestOf(`${hop2.origin}/x`, { method: 'POST', body })), body],
    ['a string and an init', () => send(`${hop2.origin}/x`, { method: 'PUT', body }), body],
    [
      'a Request as the init',
      () => send(`${hop2.origin}/x`, new RequestOf('http://x/', { method: 'POST', body })),
      body,
    ],
    [
      'an init whose members are inherited',
      () => send(`${hop2.origin}/x`, Object.create({ method: 'POST', body })),
      body,
    ],
    [
      'an init without a prototype',
      () => send(`${hop2.origin}/x`, Object.assign(Object.create(null), { method: 'POST', body })),
      body,
    ],
    ['a frozen init', () => send(`${hop2.origin}/x`, Object.freeze({ method: 'POST', body })), body],
    ['null as the init', () => send(`${hop2.origin}/x`, null as never), ''],
    [
      'a stream',
      () =>
        send(`${hop2.origin}/x`, {
          method: 'POST',
          body: new Blob([body]).stream(),
          duplex: 'half',
        } as RequestInit),
      body,
    ],
  ])('F-CP-03 sends the passport with %s', async (_, call, expected) => {
    const text = await within('orders.list', async () => (await call()).text())
    expect(text).toBe(expected)
    expect(hop2.received.map(({ body, url }) => [url, body])).toEqual([['/x', expected]])
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('sends forms as they are', async () => {
    const form = new FormDataOf()
    form.set('order', '7')
    await within('orders.list', async () => (await send(hop2.origin, { method: 'POST', body: form })).text())
    const [received] = hop2.received
    expect(received!.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(received!.body).toContain('name="order"')
  })

  it('keeps two set-cookie headers apart', async () => {
    const cookies = await within('orders.list', async () =>
      (await send(`${hop2.origin}/cookies`)).headers.getSetCookie(),
    )
    expect(cookies).toEqual(['a=1', 'b=2'])
  })

  it('keeps the members of others, and none of ours that a caller wrote', async () => {
    const headers = { Baggage: 'a=1;p,kest.user=eve,kest.jwt=x' }
    await within('orders.list', async () => {
      await (await send(hop2.origin, { headers })).text()
      await (await send(new RequestOf(stranger.origin, { headers }))).text()
    })
    expect(hop2.received[0]!.headers['baggage']).toMatch(/^kest\.passport=[^,]+,kest\.chain_tip=[^,]+,a=1;p$/)
    expect(stranger.received[0]!.headers['baggage']).toBe('a=1;p')
    expect(showsKest(stranger.received[0]!)).toBe(false)
  })

  it('K-REDIRECT follows within the origin and to another in scope, with the passport', async () => {
    await within('orders.list', async () => {
      const response = await send(hop2.origin + to(hop2, to(hop3)))
      expect(response.url).toBe(`${hop3.origin}/end`)
      await response.text()
    })
    expect([...hop2.received, ...hop3.received].map(({ url }) => url.slice(0, 4))).toEqual([
      '/to3',
      '/to3',
      '/end',
    ])
    for (const { headers } of [...hop2.received, ...hop3.received]) {
      expect(await operationsIn(headers)).toEqual(['orders.list'])
    }
  })

  it.each([301, 302, 303, 307, 308])('K-REDIRECT %i to a stranger carries no passport', async (status) => {
    await within('orders.list', async () => {
      const response = await send(hop2.origin + to(stranger, '/end', status), {
        method: 'POST',
        body,
        headers: { baggage: 'a=1,kest.passport=%5B%5D' },
      })
      await response.text()
    })
    const [received] = stranger.received
    expect(received!.body).toBe(status >= 307 ? body : '')
    expect(showsKest(received!)).toBe(false)
    expect(received!.headers['baggage']).toBe('a=1')
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('K-REDIRECT a way back from a stranger carries it again', async () => {
    await within('orders.list', async () => (await send(hop2.origin + to(stranger, to(hop2)))).text())
    expect(stranger.received.map(showsKest)).toEqual([false])
    expect(hop2.received.map(({ url }) => url.slice(0, 4))).toEqual(['/to3', '/end'])
    for (const { headers } of hop2.received) expect(await operationsIn(headers)).toEqual(['orders.list'])
  })

  it('lets fetch judge redirects that the caller does not want', async () => {
    await within('orders.list', async () => {
      const manual = await send(hop2.origin + to(stranger), { redirect: 'manual' })
      expect(manual.status).toBe(302)
      await expect(send(hop2.origin + to(stranger), { redirect: 'error' })).rejects.toThrow('fetch failed')
    })
    expect(stranger.received).toEqual([])
  })

  it('aborts as fetch does, also by the signal of a Request', async () => {
    const reason = new Error('enough')
    const calls = [
      (signal: AbortSignal) => send(`${hop2.origin}/slow`, { signal }),
      (signal: AbortSignal) => send(new RequestOf(`${hop2.origin}/slow`, { signal })),
    ]
    for (const [index, call] of calls.entries()) {
      const controller = new AbortController()
      const rejected = expect(within('orders.list', () => call(controller.signal))).rejects.toBe(reason)
      await expect.poll(() => hop2.received).toHaveLength(index + 1)
      controller.abort(reason)
      await rejected
    }
  })

  it('K-AMBIENT 200 calls at once through one connection carry each its own passport', async () => {
    const dispatcher = new undici.Agent({ connections: 1 })
    const kestFetch = createKestFetch(rule())
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        within(`op${index}`, async () =>
          (await kestFetch(`${hop2.origin}/${index}`, over(dispatcher))).text(),
        ),
      ),
    )
    expect(hop2.received).toHaveLength(200)
    for (const { url, headers } of hop2.received)
      expect(await operationsIn(headers)).toEqual([`op${url.slice(1)}`])
    await dispatcher.close()
  })

  it('uses the caller’s dispatcher', async () => {
    const agent = new undici.Agent()
    const dispatch = vi.spyOn(agent, 'dispatch')
    await within('orders.list', async () => (await send(hop2.origin, over(agent))).text())
    expect(dispatch).toHaveBeenCalledOnce()
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
    await agent.close()
  })

  it('goes through a proxy, which sees no passport when it only tunnels', async () => {
    const { proxy, seen } = await startProxy()
    const dispatcher = new undici.ProxyAgent({ uri: proxy.origin, proxyTunnel: true })
    await within('orders.list', async () => (await send(`${hop2.origin}/x`, over(dispatcher))).text())
    expect(seen).toHaveLength(1)
    expect(JSON.stringify(seen)).not.toContain('kest')
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
    await dispatcher.close()
    await proxy.close()
  })

  it('K-SIZE rejects with the reason as the cause, and nothing is sent', async () => {
    const small = caller({ propagation: { maxHeaderLength: 300 } })
    const kestFetch = createKestFetch({ ...rule(), kest: small })
    const error = await within('orders.list', () => kestFetch(hop2.origin)).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: 'fetch failed', cause: { code: 'ERR_KEST_TOO_LARGE' } })
    expect(hop2.received).toEqual([])
  })

  it('rejects what fetch rejects', async () => {
    await expect(send('not a url')).rejects.toThrow(TypeError)
    await expect(send(hop2.origin, 7 as never)).rejects.toThrow(TypeError)
    await expect(send(hop2.origin, { dispatcher: {} } as never)).rejects.toThrow('dispatcher')
    await expect(send(hop2.origin, { body: 'x' })).rejects.toThrow(TypeError)
    await expect(send('http://127.0.0.1:1/')).rejects.toMatchObject({ message: 'fetch failed' })
    expect(hop2.received).toEqual([])
  })

  it('fetches what needs no connection', async () => {
    const response = await within('orders.list', () => send('data:text/plain,hello'))
    expect(await response.text()).toBe('hello')
  })
})

describe('createKestFetch', () => {
  it('looks like what it wraps', () => {
    const library = async (_input: string, _init: object, _more: number) => 'x'
    library.preconnect = true
    const wrapped = createKestFetch({ fetch: library, kest, propagateTo: [] })
    expect([wrapped.name, wrapped.length, wrapped.preconnect]).toEqual(['library', 3, true])
    const builtIn = createKestFetch({ kest, propagateTo: [] })
    expect([builtIn.name, builtIn.length]).toEqual(['fetch', globalThis.fetch.length])
  })

  it('calls what it wraps with the same receiver and all arguments, and keeps the rest of the init', async () => {
    const calls: unknown[] = []
    const library = async function (this: unknown, ...args: [string, object?, number?]) {
      calls.push(this, ...args)
    }
    const init = { method: 'POST', next: { revalidate: 1 } }
    await createKestFetch({ fetch: library, kest, propagateTo: [] }).call('receiver', 'http://x', init, 3)
    expect(calls).toMatchObject(['receiver', 'http://x', { ...init, dispatcher: {} }, 3])
    expect(init).not.toHaveProperty('dispatcher')
  })

  it('uses the global dispatcher as it is at each call', async () => {
    const before = undici.getGlobalDispatcher()
    const mock = new undici.MockAgent()
    mock.disableNetConnect()
    mock.get(hop2.origin).intercept({ path: '/mocked', method: 'POST', body: 'order' }).reply(200, 'mock')
    const kestFetch = createKestFetch({ kest, propagateTo: [hop2.origin] })
    try {
      undici.setGlobalDispatcher(mock)
      const response = await within('a', () =>
        kestFetch(`${hop2.origin}/mocked`, { method: 'POST', body: 'order' }),
      )
      expect(await response.text()).toBe('mock')
    } finally {
      undici.setGlobalDispatcher(before)
    }
    await within('b', async () => (await kestFetch(hop2.origin)).text())
    expect(hop2.received).toHaveLength(1)
    await mock.close()
  })

  it('refuses options that are missing, unknown or wrong when it is called', () => {
    for (const options of [
      undefined,
      {},
      { propagateTo: [], fetch: 1 },
      { propagateTo: [], origin: 'http://x' },
    ]) {
      expect(() => createKestFetch(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    }
  })
})

/** A proxy that tunnels, and shows what it was asked. */
async function startProxy() {
  const { connect } = await import('node:net')
  const { createServer } = await import('node:http')
  const seen: unknown[] = []
  const server = createServer().on('connect', (request, socket, head) => {
    seen.push(request.headers)
    const [host, port] = String(request.url).split(':')
    const target = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      target.write(head)
      target.pipe(socket).pipe(target)
    })
    target.on('error', () => socket.destroy())
    socket.on('error', () => target.destroy())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  const close = () => new Promise((closed) => server.close(closed).closeAllConnections())
  return { seen, proxy: { origin: `http://127.0.0.1:${port}`, close } }
}
