import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { setTimeout as wait } from 'node:timers/promises'
import type { KeySource } from '@kest/core'
import { buildPassport } from '@kest/core/testing'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { kestFastify } from '../src/index.js'
import { deferred } from './support/deferred.js'
import { connected, rawRequest, sendRaw } from './support/raw.js'
import { handlerTimeout, heldTimeLimit } from './support/time-limit.js'
import { createApp, lineage, World } from './support/world.js'

const policy = { config: { kest: { policy: 'test' } } }

async function listen(app: FastifyInstance): Promise<string> {
  return app.listen({ host: '127.0.0.1', port: 0 })
}

/** The whole of what a client without credentials is sent, until the connection is closed. */
async function ask(app: FastifyInstance, path = '/x', lines: readonly string[] = []): Promise<string> {
  return sendRaw(await listen(app), rawRequest(path, lines))
}

/** Status lines of the answer: one, or none where the connection was cut. */
function statuses(answer: string): number[] {
  return [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))
}

describe('K-INGRESS a refused request is answered', () => {
  it.each([
    [
      'that calls callNotFound()',
      403,
      (app: FastifyInstance) => app.setErrorHandler((_e, _q, reply) => reply.callNotFound()),
    ],
    [
      'that returns callNotFound() from an async function',
      403,
      (app: FastifyInstance) => app.setErrorHandler(async (_e, _q, reply) => reply.callNotFound()),
    ],
    [
      'that calls callNotFound() in an async function and returns nothing',
      403,
      (app: FastifyInstance) =>
        app.setErrorHandler(async (_e, _q, reply) => {
          reply.callNotFound()
        }),
    ],
    [
      'that calls callNotFound() later',
      403,
      (app: FastifyInstance) =>
        app.setErrorHandler((_e, _q, reply) => {
          setTimeout(() => reply.callNotFound(), 5)
        }),
    ],
    [
      'that throws',
      500,
      (app: FastifyInstance) =>
        app.setErrorHandler(() => {
          throw new Error('handler')
        }),
    ],
    [
      'that rejects',
      500,
      (app: FastifyInstance) => app.setErrorHandler(() => Promise.reject(new Error('handler'))),
    ],
  ])(
    "with onError: 'next' by an error handler %s, and reaches no 404 handler",
    async (_name, status, set) => {
      const app = await new World().app({ onError: 'next' })
      const notFound = vi.fn(async () => 'mine')
      app.setNotFoundHandler(notFound)
      set(app)
      const run = vi.fn(async () => 'ran')
      app.get('/x', policy, run)
      const answer = await ask(app)
      expect(statuses(answer)).toEqual([status])
      expect(answer).not.toMatch(/ran|mine/)
      expect(notFound).not.toHaveBeenCalled()
      expect(run).not.toHaveBeenCalled()
    },
  )

  it('by Kest with its code, where an error handler calls for a 404', async () => {
    const app = await new World().app({ onError: 'next' })
    app.setErrorHandler((_error, _request, reply) => reply.callNotFound())
    app.get('/x', policy, async () => 'ran')
    const answer = await ask(app)
    expect(statuses(answer)).toEqual([403])
    expect(answer).toContain('ERR_KEST_LINEAGE_MISSING')
  })

  it('in scopes with error and 404 handlers of their own', async () => {
    const app = await new World().app({ onError: 'next' })
    app.setNotFoundHandler(async () => 'outer 404')
    await app.register(
      async (scope) => {
        scope.setNotFoundHandler(async () => 'inner 404')
        scope.setErrorHandler((_error, _request, reply) => reply.callNotFound())
        scope.get('/x', policy, async () => 'ran')
      },
      { prefix: '/in' },
    )
    expect(statuses(await ask(app, '/in/x'))).toEqual([403])
  })

  it('where an onSend hook fails, and the error handler calls for a 404', async () => {
    const app = await new World().app({})
    let failed = false
    app.addHook('onSend', async () => {
      if (failed) return
      failed = true
      throw new Error('onSend')
    })
    app.setErrorHandler((_error, _request, reply) => reply.callNotFound())
    app.get('/x', policy, async () => 'ran')
    expect(statuses(await ask(app))).toEqual([403])
  })

  it('and one that a policy denies may be answered by the 404 handler, in the state that it came in', async () => {
    const app = await new World(false).app({ origin: 'user_input', onError: 'next' })
    app.setErrorHandler((_error, _request, reply) => reply.callNotFound())
    app.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return { judged: request.kest !== null, operation: request.kest?.operation }
    })
    app.get('/x', policy, async () => 'ran')
    const answer = await ask(app)
    expect(statuses(answer)).toEqual([404])
    expect(answer).toContain('{"judged":true,"operation":null}')
  })
})

describe('K-INGRESS a request that fails before its lineage was judged', () => {
  const failing: onRequestHookHandler = (_request, _reply, done) => done(new Error('before'))

  async function app(options: Parameters<World['app']>[0]): Promise<FastifyInstance> {
    const world = new World()
    const app = createApp()
    app.addHook('onRequest', failing)
    await app.register(kestFastify, { kest: world.kest, ...options })
    app.setErrorHandler((_error, _request, reply) => reply.callNotFound())
    app.setNotFoundHandler(async (request, reply) => reply.code(404).send(`judged ${request.kest !== null}`))
    app.get('/x', policy, async () => 'ran')
    return app
  }

  it('is judged before the 404 handler that its error handler calls for', async () => {
    const answer = await ask(await app({ origin: 'user_input' }))
    expect(statuses(answer)).toEqual([404])
    expect(answer).toContain('judged true')
    const { baggage } = await lineage()
    expect(statuses(await ask(await app({}), '/x', [`baggage: ${baggage}`]))).toEqual([404])
  })

  it('is refused there, and answered', async () => {
    const answer = await ask(await app({}))
    expect(statuses(answer)).toEqual([403])
    expect(answer).toContain('ERR_KEST_LINEAGE_MISSING')
  })
})

describe('a head that was written before the decision', () => {
  const writers: [string, onRequestHookHandler][] = [
    ['writeHead', (_request, { raw }, done) => done(void raw.writeHead(200))],
    ['flushHeaders', (_request, { raw }, done) => done(void raw.flushHeaders())],
    ['write', (_request, { raw }, done) => done(void raw.write('half'))],
  ]

  it.each(
    writers.flatMap(([name, write]) =>
      [true, false].flatMap((before) =>
        ['respond', 'next'].map((onError) => ({ name, write, before, onError })),
      ),
    ),
  )(
    'by $name (before the plugin: $before, onError: $onError) is cut off, and the handler does not run',
    async ({ write, before, onError }) => {
      for (const [world, path] of [
        [new World(false), '/x'],
        [new World(true), '/x'],
        [new World(true), '/nothing'],
      ] as const) {
        for (const origin of ['user_input', undefined]) {
          const app = createApp()
          if (before) app.addHook('onRequest', write)
          await app.register(kestFastify, { kest: world.kest, origin, onError: onError as 'respond' })
          if (!before) app.addHook('onRequest', write)
          const run = vi.fn(async () => 'ran')
          app.get('/x', policy, run)
          const answer = await ask(app, path).catch((error: { code: string }) => error.code)
          expect(answer).not.toMatch(/\bran\b|\r\n0\r\n\r\n$/)
          expect(run).not.toHaveBeenCalled()
        }
      }
    },
  )

  it.each(writers.slice(1))(
    'by %s over HTTP/2 does not look like a complete answer',
    async (_name, write) => {
      const app = createApp({ http2: true } as never)
      await app.register(kestFastify, { kest: new World(false).kest, origin: 'user_input' })
      app.addHook('onRequest', write)
      app.get('/x', policy, async () => 'ran')
      const client = connectHttp2(await listen(app))
      const stream = client.request({ ':path': '/x' }).resume()
      await expect(once(stream, 'close')).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' })
      expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
      client.destroy()
    },
  )

  it('of early hints is no answer', async () => {
    const app = createApp()
    app.addHook('onRequest', (_request, reply, done) => {
      reply.writeEarlyHints({ link: '</style.css>; rel=preload' })
      done()
    })
    await app.register(kestFastify, { kest: new World().kest, origin: 'user_input' })
    app.get('/x', policy, async () => 'ran')
    expect(statuses(await ask(app))).toEqual([103, 200])
  })
})

describe.each([true, false])('K-ORDER a hook that calls back twice (decision: %s)', (decision) => {
  const hooks: [string, Parameters<FastifyInstance['addHook']>[0]][] = [
    ['preHandler', 'preHandler'],
    ['preValidation', 'preValidation'],
    ['onRequest', 'onRequest'],
  ]

  it.each(hooks)('as %s lets no handler run before its operation has begun', async (_name, hook) => {
    const world = new World(() => wait(5, decision))
    const app = await world.app()
    app.addHook(hook as 'preHandler', (_request, _reply, done) => {
      done()
      done()
    })
    const before: unknown[] = []
    app.get('/x', policy, async (request) => {
      before.push(request.kest?.operation ?? 'not begun')
      return 'ran'
    })
    const answer = await ask(app)
    expect(statuses(answer)[0]).toBe(decision ? 200 : 403)
    expect(before).not.toContain('not begun')
    expect(before.length > 0).toBe(decision)
  })
})

describe('whoever took over the answer keeps it', () => {
  it('by hijack() while the operation is decided: Kest adds nothing', async () => {
    const decision = deferred<boolean>()
    const asked = deferred()
    const world = new World(() => {
      asked.resolve()
      return decision.promise
    })
    const app = await world.app()
    app.addHook('preHandler', async (_request, reply) => {
      void asked.promise.then(async () => {
        reply.hijack()
        reply.raw.writeHead(418, { connection: 'close' })
        decision.resolve(true)
        await wait(20)
        reply.raw.end('mine')
      })
    })
    const run = vi.fn(async () => 'ran')
    app.get('/x', policy, run)
    const answer = await ask(app)
    expect(statuses(answer)).toEqual([418])
    expect(answer).toContain('mine')
    expect(run).not.toHaveBeenCalled()
    expect(world.signed()).toEqual([])
  })
})

describe('a time limit', () => {
  it('K-ORDER lets a request with a body through, whose signal Fastify aborts when the body was read', async () => {
    const world = new World(() => wait(10, true))
    const app = await world.app()
    app.post('/x', { ...policy, handlerTimeout }, async () => 'ran')
    const response = await fetch(`${await listen(app)}/x`, {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    })
    expect([response.status, await response.text()]).toEqual([200, 'ran'])
  })

  it('K-EDGE that ends while lineage is judged, and leads to a 404: it is judged once, as it came', async () => {
    const limit = heldTimeLimit()
    const sought = deferred()
    const found = deferred()
    const { headers, trust: keys } = await buildPassport([
      { by: 'gateway', origin: 'user_input', user: 'alice', addedTaints: ['pii'] },
    ])
    const slow: KeySource = {
      name: 'slow',
      kind: 'keys',
      generation: 0,
      find: async (query) => {
        sought.resolve()
        await found.promise
        return keys.find(query)
      },
    }
    const app = await new World(true, { trust: slow }).app({})
    app.setErrorHandler((_error, _request, reply) => {
      reply.callNotFound()
      setTimeout(found.resolve, 5)
    })
    app.setNotFoundHandler(async (request, reply) => reply.code(404).send(`user ${request.kest?.user}`))
    const run = vi.fn(async () => 'ran')
    app.post('/x', { ...policy, handlerTimeout }, run)
    const asked = fetch(`${await listen(app)}/x`, { method: 'POST', headers })
    await sought.promise
    limit.over()
    const response = await asked
    expect([response.status, await response.text()]).toEqual([404, 'user alice'])
    expect(run).not.toHaveBeenCalled()
  })
})

it('K-INGRESS 200 clients without credentials hold no connection, though the error handler calls for a 404', async () => {
  const app = createApp({
    serverFactory: (handler: RequestListener) => createServer({ keepAliveTimeout: 50 }, handler),
  } as never)
  await app.register(kestFastify, { kest: new World().kest, onError: 'next' })
  app.setErrorHandler((_error, _request, reply) => reply.callNotFound())
  app.get('/x', policy, async () => 'ran')
  const address = await listen(app)
  const sockets = await Promise.all(Array.from({ length: 200 }, () => connected(address)))
  const closed = sockets.map((socket) => once(socket.resume(), 'close'))
  for (const socket of sockets) socket.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
  await Promise.all(closed)
})
