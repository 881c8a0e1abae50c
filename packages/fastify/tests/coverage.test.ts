import { once } from 'node:events'
import { createServer, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { configure, createKest, KestConfigError } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import type { FastifyInstance, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { kestFastify } from '../src/index.js'
import { connected } from './support/raw.js'
import { createApp, lineage, World } from './support/world.js'

const edge = { origin: 'user_input' } as const
const policy = (name = 'test') => ({ config: { kest: { policy: name } } })
const handler = async () => 'ran'

/** A plugin that declares routes of its own and knows nothing of Kest, as one for static files would. */
const files = fp(async (instance: FastifyInstance) => {
  instance.route({ method: ['GET', 'HEAD'], url: '/files/*', handler })
})

afterEach(() => vi.restoreAllMocks())

it('a route with the config of another, declared before the plugin, is guarded all the same', async () => {
  const world = new World(false)
  const app = createApp({ exposeHeadRoutes: false })
  const copies: RouteOptions[] = []
  const run = vi.fn(handler)
  app.register(async (api) => {
    await api.register(kestFastify, { kest: world.kest, ...edge, policy: 'test' })
    api.addHook('onRoute', ({ method, config, handler }) => {
      copies.push({ method, config: config ?? {}, handler, url: '/v1/x' })
    })
    api.get('/x', run)
  })
  await app.after()
  for (const copy of copies) app.route(copy)
  await app.register(kestFastify, { kest: world.kest, ...edge, policy: 'test' })
  for (const url of ['/x', '/v1/x']) expect((await app.inject(url)).statusCode).toBe(403)
  expect(run).not.toHaveBeenCalled()
})

describe('a protected route without a policy fails at start', () => {
  it.each<[string, (app: FastifyInstance) => unknown]>([
    ['when it has no config', (app) => app.get('/x', handler)],
    [
      'when its config names none',
      (app) => app.get('/x', { config: { kest: { classification: 'secret' } } }, handler),
    ],
    [
      'when its list of policies is empty',
      (app) => app.get('/x', { config: { kest: { policy: [] as never } } }, handler),
    ],
    ['when its config is true', (app) => app.get('/x', { config: { kest: true as never } }, handler)],
    [
      'when an option is misspelled',
      (app) => app.get('/x', { config: { kest: { policy: 'x', taints: ['a'] } as never } }, handler),
    ],
    [
      'when it names its operation',
      (app) => app.get('/x', { config: { kest: { policy: 'x', operation: 'y' } as never } }, handler),
    ],
    [
      'when switchIdentity is no boolean',
      (app) => app.get('/x', { config: { kest: { policy: 'x', switchIdentity: 1 as never } } }, handler),
    ],
    ['in a scope inside', (app) => app.register(async (scope) => scope.get('/x', handler))],
    ['in a plugin of somebody else', (app) => app.register(files)],
    ['for one of several methods', (app) => app.route({ method: ['GET', 'POST'], url: '/x', handler })],
  ])('%s', async (_name, declare) => {
    const app = createApp()
    app.register(kestFastify, { kest: new World().kest, ...edge })
    await expect(
      (async () => {
        await app.after()
        declare(app)
        await app.ready()
      })(),
    ).rejects.toThrow(KestConfigError)
  })

  it('and names the route', async () => {
    const app = await new World().app()
    expect(() => app.get('/orders/:id', handler)).toThrow(/route GET \/orders\/:id: it has no policy/)
  })
})

describe('no route is left unprotected', () => {
  it('that was declared before the plugin, in its scope', async () => {
    const world = new World({ yes: true, no: false })
    const app = createApp()
    app.get('/yes', policy('yes'), handler)
    app.get('/no', policy('no'), handler)
    app.get('/open', { config: { kest: false } }, handler)
    await app.register(kestFastify, { kest: world.kest, ...edge })
    expect((await app.inject('/yes')).body).toBe('ran')
    expect((await app.inject('/no')).statusCode).toBe(403)
    expect((await app.inject('/open')).body).toBe('ran')
    expect(world.signed()).toEqual(['GET /yes'])
    expect(world.denied()).toEqual(['GET /no'])
  })

  it('that was declared before the plugin and has no policy: it is refused, loudly', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const log: string[] = []
    const app = createApp({ logger: { stream: { write: (line: string) => void log.push(line) } } })
    const run = vi.fn(handler)
    app.get('/x', run)
    await app.register(kestFastify, { kest: new World().kest, ...edge })
    for (let i = 0; i < 2; i++) {
      const response = await app.inject('/x')
      expect([response.statusCode, response.json().code]).toEqual([500, 'ERR_KEST_CONFIG'])
    }
    expect(run).not.toHaveBeenCalled()
    expect(warning).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('route GET /x'), {
      code: 'ERR_KEST_CONFIG',
    })
    expect(log.filter((line) => line.includes('without protection'))).toHaveLength(1)
  })

  it('that lies in a scope which was loaded before the plugin', async () => {
    const world = new World({ deep: false })
    const app = createApp()
    app.register(async (scope) => {
      await scope.register(async (deep) => {
        deep.get('/deep', policy('deep'), handler)
      })
    })
    await app.after()
    await app.register(kestFastify, { kest: world.kest, ...edge })
    expect((await app.inject('/deep')).statusCode).toBe(403)
    expect(world.denied()).toEqual(['GET /deep'])
  })

  it('that another plugin declared, before or after', async () => {
    const world = new World(({ policies }) => policies[0] === 'GET /files/*')
    for (const first of [true, false]) {
      const app = createApp()
      if (first) await app.register(files)
      await app.register(kestFastify, {
        kest: world.kest,
        ...edge,
        policy: ({ method, url }) => `${method} ${url}`,
      })
      if (!first) await app.register(files)
      expect((await app.inject('/files/a.txt')).body).toBe('ran')
      expect((await app.inject({ method: 'HEAD', url: '/files/a.txt' })).statusCode).toBe(403)
    }
    expect(world.signed()).toEqual(['GET /files/*', 'GET /files/*'])
  })

  it('by not starting, when another plugin takes the guard off a route after it was set', async () => {
    const app = createApp()
    const kest = createKest({ identity: new MockIdentityProvider('x'), engine: new MockPolicyEngine(false) })
    await app.register(kestFastify, { ...edge, kest })
    app.addHook('onRoute', function (route) {
      this.after(() => {
        route.preHandler = []
      })
    })
    app.get('/x', policy(), handler)
    await expect(app.ready()).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('when another plugin replaces preHandlers or config of a route', async () => {
    const world = new World(false)
    const app = await world.app()
    app.addHook('onRoute', (route) => {
      if (route.url === '/hooks') route.preHandler = []
      if (route.url === '/config') route.config = { kest: { policy: 'test' } }
    })
    app.get('/hooks', policy(), handler)
    app.get('/config', policy(), handler)
    expect((await app.inject('/hooks')).statusCode).toBe(403)
    expect((await app.inject('/config')).statusCode).toBe(403)
    expect(world.denied()).toEqual(['GET /hooks', 'GET /config'])
  })

  it('and makes one entry where another plugin replaces the config of a route', async () => {
    const world = new World()
    const app = await world.app()
    app.addHook('onRoute', (route) => {
      route.config = { kest: { policy: 'test' } }
    })
    app.get('/x', policy(), handler)
    expect((await app.inject('/x')).statusCode).toBe(200)
    expect(world.signed()).toEqual(['GET /x'])
  })

  it('when a hook that came first answers for a route that is not there', async () => {
    const world = new World()
    const app = createApp()
    app.addHook('onRequest', async (_request, reply) => reply.callNotFound())
    await app.register(kestFastify, { kest: world.kest })
    const found = vi.fn(async (_request: unknown, reply: { code(n: number): { send(b: string): void } }) =>
      reply.code(404).send('mine'),
    )
    app.setNotFoundHandler(found as never)
    app.get('/x', policy(), handler)
    expect((await app.inject('/x')).statusCode).toBe(403)
    expect(found).not.toHaveBeenCalled()
    expect((await app.inject({ url: '/x', headers: await lineage() })).body).toBe('mine')
  })

  it('and a route that is left alone may call for a 404', async () => {
    const app = await new World().app({ exclude: ['/files/*'] })
    app.get('/files/*', (_request, reply) => void reply.callNotFound())
    expect((await app.inject('/files/a')).statusCode).toBe(404)
    expect((await app.inject('/nothing')).statusCode).toBe(403)
  })

  it('when the application overwrites what Kest put on the request', async () => {
    const world = new World(false)
    const app = await world.app()
    app.addHook('preHandler', async (request) => {
      expect(() => Object.assign(request.kest as object, { operation: {} })).toThrow(TypeError)
      request.kest = { operation: {} } as never
    })
    app.get('/x', policy(), handler)
    expect((await app.inject('/x')).statusCode).toBe(403)
  })

  it('that is reached by an upgrade', async () => {
    const world = new World({ yes: true, no: false })
    const app = await world.app()
    const upgraded = vi.fn((_request, reply) => {
      reply.hijack()
      reply.raw.end('switched')
    })
    app.get('/yes', policy('yes'), upgraded)
    app.get('/no', policy('no'), upgraded)
    await app.ready()
    const server = createServer().on('upgrade', (request, socket) => {
      const response = new ServerResponse(request)
      response.assignSocket(socket as Socket)
      app.routing(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const upgrade = async (path: string): Promise<string> => {
      const socket = await connected(`http://127.0.0.1:${port}`)
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
      const [answer] = await once(socket, 'data')
      socket.destroy()
      return answer.split('\r\n')[0]
    }
    const answers = [await upgrade('/yes'), await upgrade('/no')]
    server.close()
    expect(answers).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 403 Forbidden'])
    expect(upgraded).toHaveBeenCalledOnce()
    expect(world.signed()).toEqual(['GET /yes'])
    expect(world.denied()).toEqual(['GET /no'])
  })
})

describe('registered again in a scope inside', () => {
  it('means: these options for this scope', async () => {
    const outer = new World()
    const inner = new World()
    const app = await outer.app()
    app.get('/edge', policy(), handler)
    await app.register(async (scope) => {
      await scope.register(kestFastify, { kest: inner.kest })
      scope.get('/internal', policy(), async (request) => request.kest?.user)
    })
    await app.register(async (scope) => {
      scope.get('/edge2', policy(), handler)
    })
    expect((await app.inject('/edge')).statusCode).toBe(200)
    expect((await app.inject('/edge2')).statusCode).toBe(200)
    expect((await app.inject('/internal')).statusCode).toBe(403)
    expect((await app.inject({ url: '/internal', headers: await lineage('alice') })).body).toBe('alice')
    expect(outer.signed()).toEqual(['GET /edge', 'GET /edge2'])
    expect(inner.signed()).toEqual(['GET /internal'])
  })

  it('takes the instance of the registration around it', async () => {
    const world = new World()
    const app = await world.app()
    await app.register(async (scope) => {
      await scope.register(kestFastify, { origin: 'internet' })
      scope.get('/x', policy(), handler)
    })
    await app.inject('/x')
    expect(world.engine.requests[0]?.context.trust_score).toBe(10)
  })

  it('counts for routes that the scope had before', async () => {
    const outer = new World()
    const inner = new World({ inner: true })
    const app = await outer.app({ ...edge, policy: 'outer' })
    await app.register(async (scope) => {
      scope.get('/x', handler)
      scope.get('/health', handler)
      await scope.register(kestFastify, { kest: inner.kest, ...edge, policy: 'inner', exclude: ['/health'] })
    })
    expect((await app.inject('/x')).statusCode).toBe(200)
    expect((await app.inject('/health')).statusCode).toBe(200)
    expect([outer.signed(), inner.signed()]).toEqual([[], ['GET /x']])
  })

  it('makes one entry where the scope around was registered later', async () => {
    const outer = new World()
    const inner = new World()
    const app = createApp()
    await app.register(async (scope) => {
      await scope.register(kestFastify, { kest: inner.kest, ...edge })
      scope.get('/x', policy(), handler)
    })
    await app.register(kestFastify, { kest: outer.kest, ...edge })
    app.get('/y', policy(), handler)
    expect((await app.inject('/x')).statusCode).toBe(200)
    expect((await app.inject('/y')).statusCode).toBe(200)
    expect([outer.signed(), inner.signed()]).toEqual([['GET /y'], ['GET /x']])
  })

  it('is refused in the same scope', async () => {
    const world = new World()
    const app = await world.app()
    await expect(app.register(kestFastify, { kest: world.kest, ...edge }).ready()).rejects.toThrow(
      /twice in one scope/,
    )
  })

  it('leaves scopes beside it alone', async () => {
    const world = new World()
    const app = createApp()
    await app.register(async (scope) => {
      await scope.register(kestFastify, { kest: world.kest, ...edge })
      scope.get('/inside', policy(), handler)
    })
    app.get('/outside', handler)
    expect((await app.inject('/inside')).statusCode).toBe(200)
    expect((await app.inject('/outside')).body).toBe('ran')
    expect(world.signed()).toEqual(['GET /inside'])
  })
})

describe('the policy option', () => {
  it('is the policy of routes that name none', async () => {
    const world = new World({ usual: true, special: true })
    const app = await world.app({ ...edge, policy: 'usual' })
    app.get('/a', handler)
    app.get('/b', policy('special'), handler)
    await app.inject('/a')
    await app.inject('/b')
    expect(world.engine.requests.map(({ policies }) => policies)).toEqual([['usual'], ['special']])
  })

  it('is asked for each route and method, by pattern', async () => {
    const asked: string[] = []
    const app = await new World().app({
      ...edge,
      policy: ({ method, url, config }) => {
        asked.push(`${method} ${url} ${(config as { team?: string }).team ?? '-'}`)
        return 'test'
      },
    })
    app.get('/a/:id', { config: { team: 'x' } as never }, handler)
    app.route({ method: ['PUT', 'POST'], url: '/b', handler })
    await app.ready()
    expect(asked).toEqual(['GET /a/:id x', 'HEAD /a/:id x', 'PUT /b -', 'POST /b -'])
  })

  it('that answers nothing for a route fails at start', async () => {
    const app = await new World().app({ ...edge, policy: () => undefined })
    expect(() => app.get('/x', handler)).toThrow(/no policy/)
  })

  it('that throws fails at start, with its cause', async () => {
    const cause = new Error('no such table')
    const app = await new World().app({
      ...edge,
      policy: () => {
        throw cause
      },
    })
    expect(() => app.get('/x', handler)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG', cause }))
  })
})

describe('the exclude option', () => {
  it('leaves patterns and what lies below a path alone', async () => {
    const world = new World(false)
    const exclude = ['/health', '/files/*', '/users/:id']
    const app = await world.app({ ...edge, policy: 'test', exclude, excludeBelow: ['/docs'] })
    for (const url of [
      '/files/*',
      '/files/:id/delete',
      '/health',
      '/docs/*',
      '/docs/static/:file',
      '/users/:id',
      '/docs',
      '/healthy',
      '/users/:id/pay',
    ]) {
      app.get(url, handler)
    }
    const status = async (url: string) => (await app.inject(url)).statusCode
    expect(await Promise.all(['/health', '/docs/a', '/docs/static/b', '/users/7'].map(status))).toEqual([
      200, 200, 200, 200,
    ])
    expect((await app.inject('/files/a')).statusCode).toBe(200)
    const others = ['/docs', '/healthy', '/users/7/pay', '/files/7/delete']
    expect(await Promise.all(others.map(status))).toEqual([403, 403, 403, 403])
    expect((await app.inject({ method: 'HEAD', url: '/health' })).statusCode).toBe(200)
  })

  it('counts for routes that were declared before', async () => {
    const app = createApp()
    app.get('/health', handler)
    await app.register(kestFastify, { kest: new World(false).kest, ...edge, exclude: ['/health'] })
    expect((await app.inject('/health')).body).toBe('ran')
  })

  it.each([['/helth'], ['/docs/*'], ['POST /health']])(
    'fails at start when %s is no route',
    async (pattern) => {
      const app = await new World().app({ ...edge, policy: 'test', exclude: ['/health', pattern] })
      app.get('/health', handler)
      await expect(app.ready()).rejects.toThrow(`no route of this scope has "${pattern}"`)
    },
  )

  it('fails at start when no route lies below a path', async () => {
    const app = await new World().app({ ...edge, policy: 'test', excludeBelow: ['/docs'] })
    app.get('/docs', handler)
    await expect(app.ready()).rejects.toThrow('no route of this scope has "/docs/"')
  })

  it('fails at start when the route has a policy', async () => {
    const app = await new World().app({ ...edge, exclude: ['/x'] })
    expect(() => app.get('/x', policy(), handler)).toThrow(/is excluded, and has options/)
  })
})

describe('registration', () => {
  it.each<[string, object, RegExp]>([
    ['an unknown option', { polcy: 'x' }, /unknown option "polcy"/],
    ['a prefix, which Fastify would ignore', { prefix: '/api' }, /prefix/],
    ['a policy that is none', { policy: '' }, /policy|policies/],
    ['no policies', { policy: [] }, /policy|policies/],
    ['an onError of another kind', { onError: 'throw' }, /onError/],
    ['an exclude that is no list', { exclude: '/health' }, /exclude/],
    ['an exclude that is no pattern', { exclude: ['health'] }, /exclude/],
    ['an excludeBelow that is a pattern', { excludeBelow: ['/docs/*'] }, /excludeBelow/],
    ['an excludeBelow that is every route', { excludeBelow: ['/'] }, /excludeBelow/],
    ['a kest that is none', { kest: {} }, /kestFastify\.kest/],
    ['a publishKeys that is no path', { publishKeys: 'keys.json' }, /publishKeys/],
    ['a mode at an edge', { origin: 'internet', mode: 'tip' }, /mode/],
    ['a token of nobody', { origin: 'internet', token: {} }, /token\.issuer/],
  ])('refuses %s', async (_name, options, message) => {
    const app = createApp()
    const plugin = app.register(kestFastify, { kest: new World().kest, ...options } as never)
    await expect(plugin.ready()).rejects.toThrow(message)
    await expect(app.ready()).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('F-GC-01 F-GC-04 takes the active instance, and fails when there is none', async () => {
    const early = createApp()
    await expect(early.register(kestFastify, edge).ready()).rejects.toThrow(/not configured/)
    const engine = new MockPolicyEngine()
    configure({ identity: new MockIdentityProvider('orders'), engine, logger: new RecordingLogger() })
    const app = createApp()
    await app.register(kestFastify, edge)
    app.get('/x', policy(), handler)
    expect((await app.inject('/x')).body).toBe('ran')
    expect(engine.requests).toHaveLength(1)
  })

  it("publishes the workload's keys, unprotected, when asked to", async () => {
    const world = new World(false)
    const app = await world.app({ publishKeys: true })
    const response = await app.inject('/.well-known/kest/jwks.json')
    expect(response.headers['content-type']).toBe('application/jwk-set+json')
    const identity = new MockIdentityProvider('orders')
    expect(response.json()).toEqual({ keys: [identity.getPublicJwk()] })
    expect(response.body).not.toMatch(/"d"/)
    const elsewhere = await world.app({ publishKeys: '/keys' })
    expect((await elsewhere.inject('/keys')).statusCode).toBe(200)
    expect((await elsewhere.inject('/.well-known/kest/jwks.json')).statusCode).toBe(403)
  })

  it('fails when there are keys to publish and the identity has none', async () => {
    const { current, getWorkloadId } = new MockIdentityProvider('orders')
    const world = new World(true, { identity: { current, getWorkloadId } })
    await expect(world.app({ ...edge, publishKeys: true })).rejects.toThrow(/publishKeys/)
  })
})
