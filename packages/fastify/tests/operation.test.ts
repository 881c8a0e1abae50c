import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { setTimeout as wait } from 'node:timers/promises'
import { currentState, parsePassport, verifyPassport } from '@kest/core'
import type { FastifyInstance, RouteHandlerMethod } from 'fastify'
import { describe, expect, it } from 'vitest'
import { kestFastify } from '../src/index.js'
import { createApp, lineage, trust, World } from './support/world.js'

const protectedBy = (policy = 'test') => ({ config: { kest: { policy } } })

/** The operation that is ambient where this is called. */
function ambient(): string {
  return currentState()?.frame.lineage.tips[0]?.entry.operation ?? 'none'
}

async function* chunks() {
  yield `${ambient()};`
  await wait(5)
  yield `${ambient()};`
}

/** Every way a Fastify handler may answer; each says what is ambient while it does. */
const HANDLERS: Readonly<Record<string, RouteHandlerMethod>> = {
  'an async function': async () => {
    await wait(1)
    return ambient()
  },
  'a function that returns nothing and sends later': (_request, reply) => {
    setTimeout(() => reply.send(ambient()), 1)
  },
  'a function that sends at once': (_request, reply) => {
    reply.send(ambient())
  },
  'an async function that returns the reply': async (_request, reply) => {
    await wait(1)
    return reply.send(ambient())
  },
  'a stream that is read lazily': (_request, reply) => {
    reply.send(Readable.from(chunks()))
  },
  'a returned web stream': async () => {
    const generator = chunks()
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await generator.next()
        if (done) controller.close()
        else controller.enqueue(Buffer.from(value))
      },
    })
  },
  'a returned Response': async () => new Response(ambient()),
  'a hijacked reply': (_request, reply) => {
    reply.hijack()
    setTimeout(() => reply.raw.end(ambient()), 1)
  },
  'an error handler after a throw': async () => {
    throw new Error('handler failed')
  },
}

async function over(
  transport: 'inject' | 'http',
  app: FastifyInstance,
  url: string,
  init: { method?: 'GET' | 'POST'; body?: string } = {},
) {
  const { method = 'GET', body } = init
  const headers: Record<string, string> = {
    ...(await lineage()),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  if (transport === 'inject') {
    const response = await app.inject({ method, url, headers, ...(body !== undefined && { payload: body }) })
    return { status: response.statusCode, body: response.body }
  }
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const response = await fetch(new URL(url, address), {
    method,
    headers,
    ...(body !== undefined && { body }),
  })
  return { status: response.status, body: await response.text() }
}

describe('an operation', () => {
  describe.each(['inject', 'http'] as const)('over %s', (transport) => {
    it.each(Object.entries(HANDLERS))('K-AMBIENT is ambient in %s, once', async (_name, handler) => {
      const world = new World()
      const app = await world.app({})
      app.setErrorHandler((_error, _request, reply) => reply.code(500).send(ambient()))
      app.get('/x', protectedBy(), handler)
      const { body } = await over(transport, app, '/x')
      const seen = body.split(';').filter((part) => part !== '')
      expect(new Set(seen)).toEqual(new Set(['GET /x']))
      expect(world.signed()).toEqual(['GET /x'])
    })

    it('K-AMBIENT is ambient after a body was read', async () => {
      const world = new World()
      const app = await world.app({})
      app.post('/x', protectedBy(), async (request) => ({ ambient: ambient(), body: request.body }))
      const { body } = await over(transport, app, '/x', { method: 'POST', body: '{"a":1}' })
      expect(JSON.parse(body)).toEqual({ ambient: 'POST /x', body: { a: 1 } })
      expect(world.signed()).toEqual(['POST /x'])
    })

    it('K-AMBIENT is ambient in the hooks that follow the handler', async () => {
      const seen: Record<string, string> = {}
      const note = (hook: string) => {
        seen[hook] = ambient()
      }
      const app = await new World().app({})
      app.addHook('preSerialization', async () => note('preSerialization'))
      app.addHook('onSend', async () => note('onSend'))
      const answered = new Promise<void>((resolve) => {
        app.addHook('onResponse', async (request) => {
          note('onResponse')
          seen['request.kest'] = request.kest?.operation?.entry.entry.operation ?? 'none'
          resolve()
        })
      })
      app.get('/x', protectedBy(), async () => ({ a: 1 }))
      await over(transport, app, '/x')
      await answered
      expect(seen).toEqual({
        preSerialization: 'GET /x',
        onSend: 'GET /x',
        onResponse: 'GET /x',
        'request.kest': 'GET /x',
      })
    })
  })

  it('K-FLOW links what the handler does to it', async () => {
    const world = new World()
    const app = await world.app({})
    const charge = world.kest.verified({ operation: 'charge', policy: 'test' }, async () => 'paid')
    app.get('/x', protectedBy(), async (request) => {
      await charge()
      return request.kest?.passport
    })
    const response = await app.inject({ url: '/x', headers: await lineage() })
    const { entries } = await verifyPassport(parsePassport(response.json()), { trust })
    expect(entries.map(({ entry }) => entry.operation)).toEqual(['step-0', 'GET /x', 'charge'])
    expect(entries[2]?.entry.parent_ids).toEqual([entries[1]?.hash])
  })

  it('K-AMBIENT starts from the request where a hook lost the ambient state', async () => {
    const world = new World()
    const app = await world.app({})
    // A queue that runs everything in its own context, as pools and hand-written body readers do.
    const queue: (() => void)[] = []
    const timer = setInterval(() => queue.shift()?.(), 1)
    app.addHook('preHandler', (_request, _reply, done) => void queue.push(() => done()))
    app.get('/x', protectedBy(), async () => ambient())
    const response = await app.inject({ url: '/x', headers: await lineage() })
    clearInterval(timer)
    expect(response.body).toBe('GET /x')
  })

  it('gives the policy what was configured for the route, computed from the request', async () => {
    const world = new World()
    const app = await world.app()
    app.get('/orders/:id', {
      config: {
        kest: {
          policy: ['orders/read', 'orders/own'],
          classification: 'confidential',
          addedTaints: ['pii'],
          user: () => 'bob',
          resource: async (request) => ({
            id: (request.params as { id: string }).id,
            attributes: { kind: 'order' },
          }),
        },
      },
      handler: async (request) => request.kest?.operation?.entry.entry.classification,
    })
    const response = await app.inject('/orders/7')
    expect(response.body).toBe('confidential')
    expect(world.engine.requests).toHaveLength(1)
    expect(world.engine.requests[0]).toMatchObject({
      policies: ['orders/read', 'orders/own'],
      context: {
        subject: { user: 'bob', taints: ['pii'], trust_score: 40 },
        object: { id: '7', attributes: { kind: 'order' } },
        environment: { is_root: true, source_type: 'user_input' },
      },
    })
  })
})

describe('one entry', () => {
  async function appWithRoutes(world: World): Promise<FastifyInstance> {
    const app = await world.app()
    app.get('/x', protectedBy(), async () => 'x')
    app.get('/open', { config: { kest: false } }, async (request) => ({
      kest: request.kest,
      ambient: ambient(),
    }))
    app.get(
      '/guarded',
      { ...protectedBy(), preHandler: async (_request, reply) => reply.code(401).send('who are you?') },
      async () => 'x',
    )
    app.get(
      '/valid',
      { ...protectedBy(), schema: { querystring: { type: 'object', required: ['q'] } } },
      async () => 'x',
    )
    app.all('/all', protectedBy(), async (request) => request.method)
    app.route({ method: ['PUT', 'PATCH'], url: '/many', ...protectedBy(), handler: async () => 'x' })
    await app.register(
      async (scope) => {
        scope.get('/', protectedBy(), async () => 'x')
        scope.get('/:id', protectedBy(), async () => 'x')
      },
      { prefix: '/orders' },
    )
    return app
  }

  it.each([
    ['GET', '/x', 'GET /x'],
    ['HEAD', '/x', 'HEAD /x'],
    ['GET', '/all', 'GET /all'],
    ['HEAD', '/all', 'HEAD /all'],
    ['DELETE', '/all', 'DELETE /all'],
    ['PUT', '/many', 'PUT /many'],
    ['PATCH', '/many', 'PATCH /many'],
    ['GET', '/orders', 'GET /orders'],
    ['GET', '/orders/', 'GET /orders'],
    ['HEAD', '/orders/', 'HEAD /orders/'],
    ['GET', '/orders/7', 'GET /orders/:id'],
  ] as const)('for %s %s: %s', async (method, url, operation) => {
    const world = new World()
    const app = await appWithRoutes(world)
    const response = await app.inject({ method, url })
    expect(response.statusCode).toBe(200)
    expect(world.signed()).toEqual([operation])
  })

  it.each([
    ['a request that matches no route', 'GET', '/nothing', 404],
    ['a method that a route does not have', 'POST', '/x', 404],
    ['a route that opted out', 'GET', '/open', 200],
    ['a preHandler of the user that denies', 'GET', '/guarded', 401],
    ['a request that is not valid', 'GET', '/valid', 400],
  ] as const)('is not made for %s', async (_name, method, url, status) => {
    const world = new World()
    const app = await appWithRoutes(world)
    const response = await app.inject({ method, url })
    expect(response.statusCode).toBe(status)
    expect(world.spans()).toEqual([])
  })

  it('is made by the last preHandler, also after those of plugins that come later', async () => {
    const world = new World()
    const app = await world.app()
    app.addHook('onRoute', (route) => {
      route.preHandler = [
        route.preHandler ?? [],
        async (_request: unknown, reply: { code(n: number): { send(b: string): void } }) =>
          reply.code(429).send('slow down'),
      ].flat() as never
    })
    app.get('/x', protectedBy(), async () => 'x')
    const response = await app.inject('/x')
    expect(response.statusCode).toBe(429)
    expect(world.spans()).toEqual([])
  })

  it('leaves no state with a route that opted out', async () => {
    const app = await appWithRoutes(new World())
    const response = await app.inject('/open')
    expect(response.json()).toEqual({ kest: null, ambient: 'none' })
  })

  it('is made per version and constraint of a route', async () => {
    const world = new World({ one: true, two: false })
    const app = await world.app()
    app.get('/x', { constraints: { version: '1.0.0' }, ...protectedBy('one') }, async () => 'one')
    app.get('/x', { constraints: { version: '2.0.0' }, ...protectedBy('two') }, async () => 'two')
    const first = await app.inject({ url: '/x', headers: { 'accept-version': '1.x' } })
    const second = await app.inject({ url: '/x', headers: { 'accept-version': '2.x' } })
    expect([first.body, second.statusCode]).toEqual(['one', 403])
    expect(world.signed()).toEqual(['GET /x'])
  })

  it('is made on HTTP/2', async () => {
    const world = new World()
    const app = createApp({ http2: true } as never)
    await app.register(kestFastify, { kest: world.kest, origin: 'user_input' })
    app.get('/x', protectedBy(), async () => ambient())
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const { connect } = await import('node:http2')
    const session = connect(address)
    const stream = session.request({ ':path': '/x' })
    const body = (await stream.toArray()).join('')
    await new Promise<void>((resolve) => session.close(() => resolve()))
    expect(body).toBe('GET /x')
    expect(world.signed()).toEqual(['GET /x'])
  })
})
