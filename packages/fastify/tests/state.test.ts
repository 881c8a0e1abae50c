import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import websocket from '@fastify/websocket'
import { currentState, getCurrentUser, type KestState } from '@kest/core'
import { FakeClock } from '@kest/core/testing'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import WebSocket from 'ws'
import { kestFastify } from '../src/index.js'
import { deferred } from './support/deferred.js'
import { connected } from './support/raw.js'
import { createApp, World } from './support/world.js'

const policy = { config: { kest: { policy: 'test' } } }
const alice = { config: { kest: { policy: 'test', user: 'alice' } } }
const ENDED = { code: 'ERR_KEST_STATE_ENDED' }

/** A world whose clock stands still: what ends there was ended, and did not run out. */
async function world(options = {}, server = {}) {
  const clock = new FakeClock()
  const it = new World(true, { clock })
  const app = await it.app({ origin: 'user_input', ...options }, server)
  const states: KestState[] = []
  const note = (request: FastifyRequest) => void states.push(request.kest!.state)
  const listen = () => app.listen({ host: '127.0.0.1', port: 0 })
  const ended = (n = 0) => expect.poll(() => states[n]?.lifetime.ended)
  return { world: it, app, clock, states, note, listen, ended }
}

describe('K-STATE the state of a request', () => {
  it('K-STATE does not end by finish: an answer that is written may not be closed', async () => {
    const { app, note, states, listen, ended } = await world()
    const atFinish = deferred<boolean>()
    app.get('/x', policy, async (request, reply) => {
      note(request)
      reply.raw.once('finish', () => atFinish.resolve(states[0]!.lifetime.ended))
      return 'answered'
    })
    await fetch(`${await listen()}/x`)
    expect(await atFinish.promise).toBe(false)
    await ended().toBe(true)
  })

  const unknown: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
    'takes a callback': (_request, reply) => {
      setImmediate(() => reply.send('answered'))
    },
    'hijacks its reply': async (_request, reply) => {
      reply.hijack()
      setImmediate(() => reply.raw.end('answered'))
    },
    'answers a thenable': () => ({
      // biome-ignore lint/suspicious/noThenProperty: it is one
      then: (resolve: (value: string) => void) => resolve('answered'),
    }),
  }
  it.each(Object.entries(unknown))(
    'K-STATE ends stateGraceMs after the close where its handler %s',
    async (_, handler) => {
      const { app, clock, states, note, listen } = await world({ stateGraceMs: 5_000 })
      const closed = deferred()
      app.get('/x', policy, (request, reply) => {
        note(request)
        reply.raw.once('close', () => closed.resolve())
        return handler(request, reply) as never
      })
      expect(await (await fetch(`${await listen()}/x`)).text()).toBe('answered')
      await closed.promise
      clock.advance(4_999)
      expect(states[0]!.lifetime.ended).toBe(false)
      clock.advance(1)
      expect(states[0]!.lifetime.ended).toBe(true)
    },
  )

  it('K-STATE ends some time after the close where no handler of a route has answered', async () => {
    const { app, clock, states, note, listen } = await world()
    const closed = deferred()
    app.setNotFoundHandler(async (request, reply) => {
      note(request)
      reply.raw.once('close', () => closed.resolve())
      return 'nothing here'
    })
    await (await fetch(`${await listen()}/nothing`)).text()
    await closed.promise
    clock.advance(9_999)
    expect(states[0]!.lifetime.ended).toBe(false)
    clock.advance(1)
    expect(states[0]!.lifetime.ended).toBe(true)
  })

  it('K-STATE lasts as long as what it streams', async () => {
    const { world: it, app, states, note, listen, ended } = await world()
    const events = new PassThrough()
    app.get('/events', policy, async (request, reply) => {
      note(request)
      reply.header('content-type', 'text/event-stream')
      return reply.send(events)
    })
    events.write(': open\n\n')
    const response = await fetch(`${await listen()}/events`)
    const reader = response.body!.getReader()
    for (const data of ['one', 'two']) {
      events.write(`data: ${data}\n\n`)
      await reader.read()
      expect(await it.kest.run(states[0]!, () => it.kest.inject({}, 'http://hop2'))).toHaveProperty('baggage')
    }
    events.end()
    expect((await reader.read()).done).toBe(true)
    await ended().toBe(true)
  })

  it('K-STATE each of a connection has its own, one after the other and in a pipeline, and no listener is left', async () => {
    const { app, states, note, listen, ended } = await world()
    const held = [deferred(), deferred()] as const
    const sockets = new Set<Socket>()
    app.get('/:n', policy, async (request) => {
      sockets.add(request.raw.socket)
      note(request)
      const { n } = request.params as { n: string }
      await held[Number(n)]?.promise
      return n
    })
    const socket = await connected(await listen())
    let answers = ''
    socket.on('data', (chunk) => {
      answers += chunk
    })
    socket.write('GET /0 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => states.length).toBe(2)
    held[0].resolve()
    await ended(0).toBe(true)
    expect(states[1]!.lifetime.ended).toBe(false)
    held[1].resolve()
    await ended(1).toBe(true)
    const listeners = () => [...sockets][0]!.listenerCount('close')
    const before = listeners()
    for (let n = 2; n < 32; n++) {
      socket.write(`GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`)
      await expect.poll(() => answers.endsWith(`\r\n\r\n${n}`)).toBe(true)
      await ended(n).toBe(true)
    }
    expect(sockets.size).toBe(1)
    expect(listeners()).toBe(before)
    socket.destroy()
  })

  it('K-STATE ends over HTTP/2, stream by stream, and where requests are injected', async () => {
    const clock = new FakeClock()
    const it = new World(true, { clock })
    const app = createApp({ http2: true } as never)
    await app.register(kestFastify, { kest: it.kest, origin: 'user_input' })
    const states: KestState[] = []
    app.get('/x', policy, async (request) => {
      states.push(request.kest!.state)
      return 'answered'
    })
    const client = connectHttp2(await app.listen({ host: '127.0.0.1', port: 0 }))
    for (const n of [0, 1]) {
      await once(client.request({ ':path': '/x' }).resume(), 'close')
      await expect.poll(() => states[n]?.lifetime.ended).toBe(true)
    }
    client.destroy()

    const { app: second, note, ended } = await world()
    second.get('/x', policy, async (request) => {
      note(request)
      return 'answered'
    })
    await second.inject('/x')
    await ended().toBe(true)
  })
})

describe('K-STATE explicit forms on the request', () => {
  it('K-STATE run, fetch, keep and fork act in its state, whatever is ambient', async () => {
    const calls: [string | null, unknown][] = []
    const own = (async (input: unknown) => {
      calls.push([getCurrentUser(), input])
      return new Response()
    }) as typeof fetch
    const { world: it, app, listen } = await world({ fetch: own })
    const kept = deferred<unknown>()
    const other = new World()
    app.get('/x', alice, async (request) => {
      const { kest } = request as { kest: NonNullable<typeof request.kest> }
      const { fetch } = kest
      const stranger = await other.kest.begin({
        operation: 'o',
        policy: 'test',
        origin: 'system',
        user: 'bob',
      })
      await it.kest.run(stranger.enter(), async () => {
        expect(getCurrentUser()).toBe('bob')
        expect(kest.run(getCurrentUser)).toBe('alice')
        await fetch('http://hop2/')
        const fork = kest.fork()
        expect(fork).toMatchObject({ identity: kest.state.identity, lifetime: kest.state.lifetime })
        expect(fork.frame).not.toBe(kest.state.frame)
        const background = kest.keep()
        void background.run(async () => {
          await expect.poll(() => kest.state.lifetime.ended).toBe(true)
          kept.resolve([getCurrentUser(), await it.kest.inject({}, 'http://hop2')])
          background.end()
          expect(() => kest.keep()).toThrow(expect.objectContaining(ENDED))
        })
      })
      return 'answered'
    })
    await (await fetch(`${await listen()}/x`)).text()
    expect(calls).toEqual([['alice', 'http://hop2/']])
    expect(await kept.promise).toEqual(['alice', { baggage: expect.any(String) }])
  })

  it('K-STATE fetch is the global one where none is given, as it is when it is called', async () => {
    const { app, listen } = await world()
    app.get('/x', alice, async (request) => {
      const spy = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response(getCurrentUser()))
      const text = await new Promise<string>((resolve, reject) => {
        request
          .kest!.fetch('http://hop2/')
          .then((response) => response.text())
          .then(resolve, reject)
      })
      spy.mockRestore()
      return text
    })
    expect(await (await fetch(`${await listen()}/x`)).text()).toBe('alice')
  })

  it.each([{ stateGraceMs: -1 }, { stateGraceMs: '1' }, { stateGraceMs: 0.5 }, { fetch: {} }])(
    'refuses %o at start',
    async (options) => {
      const app = createApp()
      const registering = async () =>
        app.register(kestFastify, { kest: new World().kest, ...options } as never)
      await expect(registering()).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    },
  )
})

describe('K-STATE a WebSocket', () => {
  it('K-STATE each message is an operation on a fresh fork of the handshake’s frame, until the socket closes', async () => {
    const clock = new FakeClock()
    const it = new World(true, { clock })
    const app = createApp()
    await app.register(websocket)
    await app.register(kestFastify, { kest: it.kest, origin: 'user_input' })
    const states: KestState[] = []
    const onMessage = it.kest.verified(
      { operation: 'chat.message', policy: 'test' },
      async (text: string) => ({
        text,
        user: getCurrentUser(),
        operations: currentState()!.frame.lineage.map(({ entry }) => entry.operation),
      }),
    )
    const late = deferred<unknown>()
    app.get('/chat', { websocket: true, ...alice }, (socket, request) => {
      const { kest } = request as { kest: NonNullable<typeof request.kest> }
      states.push(kest.state)
      socket.on('message', (data) => {
        onMessage
          .with(kest.fork())(String(data))
          .then(
            (answer) => socket.send(JSON.stringify(answer)),
            (error: unknown) => socket.close(1011, String(error)),
          )
      })
      socket.on('close', () => {
        clock.advance(10_000)
        onMessage.with(kest.fork())('late').then(late.resolve, late.resolve)
      })
    })
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const socket = new WebSocket(`${address.replace('http', 'ws')}/chat`)
    await once(socket, 'open')
    for (const text of ['one', 'two', 'three']) {
      socket.send(text)
      const [data] = (await once(socket, 'message')) as [Buffer]
      expect(JSON.parse(String(data))).toEqual({
        text,
        user: 'alice',
        operations: ['GET /chat', 'chat.message'],
      })
    }
    expect(states[0]!.lifetime.ended).toBe(false)
    socket.close()
    expect(await late.promise).toMatchObject({ code: expect.stringMatching(/STATE_ENDED|ABORTED/) })
    clock.advance(10_000)
    await expect.poll(() => states[0]!.lifetime.ended).toBe(true)
    expect(states[0]!.frame.lineage.length).toBe(1)
  })
})
