import { METHODS } from 'node:http'
import { KestConfigError, type KestState } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import type { RequestHandler, Router } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { kestExpress, protect, wrapRouter } from '../src/index.js'
import { createService, operationsOf } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { raw, serve } from './support/server.js'

const operations: RequestHandler = (req, res) => {
  res.json(operationsOf(req.kest!.state))
}

describe.each(MAJORS)('wrapRouter on Express $major', ({ express, major }) => {
  function setup(engine = new MockPolicyEngine()) {
    const service = createService({ engine })
    const app = express()
    app.use(kestExpress({ kest: service.kest, origin: 'user_input' }))
    return { ...service, app }
  }

  it('protects what is declared on a router', async () => {
    const { app, engine } = setup()
    const router = wrapRouter(express.Router(), { policy: 'orders', mount: '/orders' })
    router.get('/:id', operations)
    app.use('/orders', router)
    const { url } = await serve(app)
    expect(await (await fetch(`${url}/orders/7`)).json()).toEqual(['GET /orders/:id'])
    expect(engine.requests.map(({ policies }) => policies)).toEqual([['orders']])
  })

  it('answers with the same router', () => {
    const router: Router = express.Router()
    expect(wrapRouter(router, { policy: 'p' })).toBe(router)
  })

  const ways: [string, (target: Router, handler: RequestHandler) => void][] = [
    ['get', (target, handler) => target.get('/x', handler)],
    ['all', (target, handler) => target.all('/x', handler)],
    ['route().get', (target, handler) => target.route('/x').get(handler)],
    ['route().all', (target, handler) => target.route('/x').all(handler)],
    ['several handlers', (target, handler) => target.get('/x', (_req, _res, next) => next(), handler)],
    ['a list of handlers', (target, handler) => target.get('/x', [[handler]] as never)],
    ['several paths', (target, handler) => target.get(['/x', '/y'], handler)],
    ['a regular expression', (target, handler) => target.get(/x$/, handler)],
    ['a router as a handler', (target, handler) => target.get('/x', express.Router().use(handler))],
  ]

  describe.each(['router', 'application', 'router of an application'])('of a %s', (kind) => {
    it.each(ways)('nothing declared by %s runs when it is denied', async (_way, declare) => {
      const { app, kest } = setup(new MockPolicyEngine(false))
      const handler = vi.fn((_req, res) => res.end('ran'))
      let outer = app
      if (kind === 'router') {
        const router = wrapRouter(express.Router(), { policy: 'p' })
        declare(router, handler)
        app.use(router)
      } else {
        outer = express()
        outer.use(kestExpress({ kest, origin: 'internet' }))
        wrapRouter(outer, { policy: 'p' })
        const direct = (
          major === 5 ? outer.router : (outer as never as { _router: Router })._router
        ) as Router
        declare(kind === 'application' ? (outer as unknown as Router) : direct, handler)
      }
      const { url } = await serve(outer)
      expect((await fetch(`${url}/x`)).status).toBe(403)
      expect(handler).not.toHaveBeenCalled()
    })
  })

  it('protects every method that Node knows, by declaration and by all()', async () => {
    const { app } = setup(new MockPolicyEngine(false))
    const handler = vi.fn((_req, res) => res.end('ran'))
    const router = wrapRouter(express.Router(), { policy: 'p' })
    const methods = METHODS.filter((method) => method !== 'CONNECT')
    const declare = router as unknown as Record<string, (path: string, handler: RequestHandler) => void>
    for (const method of methods) declare[method.toLowerCase()]?.(`/${method}`, handler)
    router.all('/all', handler)
    app.use(router)
    const { port } = await serve(app)
    const statuses: Record<string, number[]> = {}
    for (const method of methods) {
      const answers = await Promise.all([
        raw(port, [`${method} /${method} HTTP/1.1`]),
        raw(port, [`${method} /all HTTP/1.1`]),
      ])
      statuses[method] = answers.map(({ status }) => status)
    }
    expect(handler).not.toHaveBeenCalled()
    expect(statuses).toEqual(Object.fromEntries(methods.map((method) => [method, [403, 403]])))
  })

  describe('makes no entry and asks no policy', () => {
    function routes() {
      const { app, engine } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router.get('/x', operations)
      router.post('/only-post', operations)
      app.use(router)
      return { app, engine }
    }

    it.each([
      ['what matches no route', 'GET', '/nowhere', 404],
      ['a method that the route does not have', 'DELETE', '/x', 404],
      ['HEAD of a route that has neither GET nor HEAD', 'HEAD', '/only-post', 404],
      ['OPTIONS that Express answers by itself', 'OPTIONS', '/x', 200],
    ])('for %s', async (_what, method, path, status) => {
      const { app, engine } = routes()
      const { url } = await serve(app)
      expect((await fetch(url + path, { method })).status).toBe(status)
      expect(engine.requests).toEqual([])
    })
  })

  describe('makes one entry', () => {
    it('for HEAD that Express gives to GET', async () => {
      const { app, engine } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router.get('/x', operations)
      app.use(router)
      const { url } = await serve(app)
      expect((await fetch(`${url}/x`, { method: 'HEAD' })).status).toBe(200)
      expect(engine.requests).toHaveLength(1)
    })

    it('for a route whose handlers are declared in several calls', async () => {
      const { app } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      const pass: RequestHandler = (_req, _res, next) => next()
      router.route('/x').all(pass).get(pass).get(pass).all(pass).get(operations).post(operations)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['GET /x'])
      expect(await (await fetch(`${url}/x`, { method: 'POST' })).json()).toEqual(['POST /x'])
    })

    it('for handlers of one method, also where one of them replaces the parameters', async () => {
      const { app } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      const replace: RequestHandler = (req, _res, next) => {
        req.params = { ...req.params }
        next()
      }
      router.route('/:id').get(replace).get(operations)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['GET /:id'])
    })

    it('per pass through a route: one that is gone through again is decided again, with the values it has then', async () => {
      const { app, engine } = setup(new MockPolicyEngine(({ context }) => context.object.id === '1'))
      const router = wrapRouter(express.Router(), {
        policy: 'p',
        resource: (req: import('express').Request<{ id: string }>) => ({ id: req.params.id }),
      })
      const handler = vi.fn((_req, _res, next) => next())
      router.get('/x/:id', handler)
      app.use(router)
      app.use((req, _res, next) => {
        req.url = '/x/2'
        next()
      })
      app.use(router)
      const { url } = await serve(app)
      expect((await fetch(`${url}/x/1`)).status).toBe(403)
      expect(engine.requests.map(({ context }) => context.object.id)).toEqual(['1', '2'])
      expect(handler).toHaveBeenCalledTimes(1)
    })

    it('per route that the request goes through', async () => {
      const { app } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router.get('/x', (_req, _res, next) => next())
      router.get('/:any', operations)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['GET /x', 'GET /:any'])
    })
  })

  describe('a protect() in a route', () => {
    it('stands in for the router’s where it is the first handler', async () => {
      const { app, engine } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router.get('/x', protect({ policy: 'own', operation: 'own' }), operations)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['own'])
      expect(engine.requests.map(({ policies }) => policies)).toEqual([['own']])
    })

    it('stands in for it also in later calls for the route', async () => {
      const { app } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router
        .route('/x')
        .all(protect({ policy: 'own', operation: 'own' }))
        .get(operations)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['own'])
    })

    it('comes on top of it anywhere else', async () => {
      const { app } = setup()
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router.get('/x', (_req, _res, next) => next(), protect({ policy: 'own', operation: 'own' }), operations)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['GET /x', 'own'])
    })
  })

  describe('exclude', () => {
    it('leaves routes open, by their paths as declared', async () => {
      const { app, engine } = setup(new MockPolicyEngine(false))
      const router = wrapRouter(express.Router(), { policy: 'p', exclude: ['/health', '/a/:b'] })
      const handler: RequestHandler = (req, res) => void res.json(req.kest?.operation ?? 'open')
      router.get('/health', handler)
      router.get(['/health', '/a/:b'], handler)
      router.get(['/health', '/c'], handler)
      router.get('/a/:c', handler)
      app.use(router)
      const { url } = await serve(app)
      const status = async (path: string) => (await fetch(url + path)).status
      expect([await status('/health'), await status('/a/1'), await status('/c')]).toEqual([200, 200, 403])
      expect(engine.requests).toHaveLength(1)
    })

    it('leaves protected what only looks like it', async () => {
      const { app } = setup(new MockPolicyEngine(false))
      const router = wrapRouter(express.Router(), { policy: 'p', exclude: ['/health'] })
      for (const path of ['/health/deep', '/Health', '/health/']) router.get(path, (_req, res) => res.end())
      app.use(router)
      const { url } = await serve(app)
      for (const path of ['/health/deep', '/Health', '/health/', '/health']) {
        expect((await fetch(url + path)).status).toBe(403)
      }
    })

    it('of a path lets no router be mounted there unwrapped', () => {
      const accounts = express.Router().delete('/:id', (_req, res) => void res.end('deleted'))
      const { app } = setup(new MockPolicyEngine(false))
      wrapRouter(app, { policy: 'p', exclude: ['/', '/accounts'] })
      for (const mount of [
        () => app.use(accounts),
        () => app.use('/', accounts),
        () => app.use('/accounts', accounts),
      ])
        expect(mount).toThrow(KestConfigError)
    })
  })

  describe('mountUnwrapped', () => {
    it('of a path leaves no route open there', async () => {
      const { app } = setup(new MockPolicyEngine(false))
      wrapRouter(app, { policy: 'p', mountUnwrapped: ['/', '/x'] })
      const handler = vi.fn((_req, res) => res.end('ran'))
      app.get('/', handler)
      app.get('/x', handler)
      const { url } = await serve(app)
      expect([(await fetch(`${url}/`)).status, (await fetch(`${url}/x`)).status]).toEqual([403, 403])
      expect(handler).not.toHaveBeenCalled()
    })

    it('lets a router be mounted that is not wrapped', async () => {
      const { app } = setup(new MockPolicyEngine(false))
      const docs = express.Router().get('/page', (_req, res) => void res.end('page'))
      const router = wrapRouter(express.Router(), { policy: 'p', mountUnwrapped: ['/docs'] })
      expect(() => router.use('/other', docs)).toThrow(KestConfigError)
      expect(() => router.use(['/docs', '/other'], docs)).toThrow(KestConfigError)
      router.use('/docs', docs)
      app.use(router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/docs/page`)).text()).toBe('page')
    })
  })

  describe('refuses', () => {
    const routed = () => express.Router().get('/x', (_req, res) => void res.end())
    const wrapped = () => wrapRouter(express.Router(), { policy: 'p' })

    it('a router that has routes already', () => {
      expect(() => wrapRouter(routed(), { policy: 'p' })).toThrow(/has routes already/)
    })

    it('a router that has routers already', () => {
      expect(() => wrapRouter(express.Router().use('/y', routed()), { policy: 'p' })).toThrow(
        /has routes already/,
      )
    })

    it('an application that has routes, routers or applications already', () => {
      const withRoute = express()
      withRoute.get('/x', () => {})
      const withRouter = express().use('/y', routed())
      const withApplication = express().use('/z', express())
      for (const app of [withRoute, withRouter, withApplication]) {
        expect(() => wrapRouter(app, { policy: 'p' })).toThrow(/has routes already/)
      }
    })

    it('to be wrapped twice', () => {
      const app = wrapRouter(express(), { policy: 'p' })
      expect(() => wrapRouter(app, { policy: 'q' })).toThrow(/wrapped already/)
      const router = wrapped()
      expect(() => wrapRouter(router, { policy: 'q' })).toThrow(/wrapped already/)
    })

    it.each<[string, (parent: Router) => void]>([
      ['a router', (parent) => parent.use(routed())],
      ['a router at a path', (parent) => parent.use('/y', routed())],
      ['a router in a list', (parent) => parent.use(['/y', '/z'], [[() => {}, routed()]] as never)],
      ['an application', (parent) => parent.use('/y', express())],
    ])('to mount %s that is not wrapped', (_what, mount) => {
      expect(() => mount(wrapped())).toThrow(KestConfigError)
      expect(() => mount(wrapRouter(express(), { policy: 'p' }) as unknown as Router)).toThrow(
        KestConfigError,
      )
    })

    it('a router that is mounted on itself', () => {
      const [a, b] = [wrapped(), wrapped()]
      a.use('/b', b)
      expect(() => a.use('/a', a)).toThrow(/on itself/)
      expect(() => b.use('/a', a)).toThrow(/on itself/)
    })
  })

  it('wraps an application that has middleware already', async () => {
    const { app } = setup()
    app.use(express.json())
    wrapRouter(app, { policy: 'p' })
    app.get('/x', operations)
    const { url } = await serve(app)
    expect(await (await fetch(`${url}/x`)).json()).toEqual(['GET /x'])
  })

  it('leaves the settings of an application readable, and use() and route() as they were', async () => {
    const { app } = setup()
    wrapRouter(app, { policy: 'p' })
    app.set('title', 'mine')
    expect(app.get('title')).toBe('mine')
    expect(app.use((_req, _res, next) => next())).toBe(app)
    expect(app.get('/x', operations)).toBe(app)
    const route = app.route('/y')
    expect(route.get(operations)).toBe(route)
  })

  it('leaves use() to complain of its arguments', () => {
    const router = wrapRouter(express.Router(), { policy: 'p' })
    expect(() => (router.use as () => void)()).toThrow(TypeError)
    expect(() => router.use('/x', 'no' as never)).toThrow(TypeError)
  })

  it.runIf(major === 5)('leaves a method to complain that it got no handler', () => {
    const router = wrapRouter(express.Router(), { policy: 'p' })
    expect(() => (router.get as (path: string) => void)('/x')).toThrow(TypeError)
  })

  it('makes nothing of a method that got no handler', async () => {
    const { app, engine } = setup()
    const router = wrapRouter(express.Router(), { policy: 'p' })
    try {
      ;(router.get as (path: string) => void)('/x')
    } catch {
      // Express 5
    }
    app.use(router)
    const { url } = await serve(app)
    expect((await fetch(`${url}/x`)).status).toBe(404)
    expect(engine.requests).toEqual([])
  })

  it('does not cover handlers of use() and param(), which run before a route is known', async () => {
    const { app, engine } = setup(new MockPolicyEngine(false))
    const order: string[] = []
    const router = wrapRouter(express.Router(), { policy: 'p' })
    router.use('/static', (_req, res) => void res.end('mine'))
    router.param('id', (_req, _res, next) => {
      order.push('param')
      next()
    })
    router.get('/x/:id', () => {
      order.push('handler')
    })
    app.use(router)
    const { url } = await serve(app)
    expect(await (await fetch(`${url}/static`)).text()).toBe('mine')
    expect((await fetch(`${url}/x/1`)).status).toBe(403)
    expect(order).toEqual(['param'])
    expect(engine.requests).toHaveLength(1)
  })

  it('answers 500 and runs nothing where no ingress middleware let the request in', async () => {
    const handler = vi.fn()
    const app = wrapRouter(express(), { policy: 'p' })
    app.get('/x', handler)
    const { url } = await serve(app)
    expect((await fetch(`${url}/x`)).status).toBe(500)
    expect(handler).not.toHaveBeenCalled()
  })

  it('lets error handlers of a route see its errors, and does not judge for them', async () => {
    const { app, engine } = setup()
    const router = wrapRouter(express.Router(), { policy: 'p' })
    const onError = vi.fn((error: Error, _req: unknown, res: import('express').Response, _next: unknown) => {
      res.status(418).end(error.message)
    })
    router.get(
      '/x',
      () => {
        throw new Error('boom')
      },
      onError as never,
    )
    app.use(router)
    const { url } = await serve(app)
    expect(await (await fetch(`${url}/x`)).text()).toBe('boom')
    expect(engine.requests).toHaveLength(1)
  })

  describe('names operations', () => {
    it('by where its router is mounted, through everything that is wrapped', async () => {
      const { app } = setup()
      wrapRouter(app, { policy: 'p' })
      const sub = wrapRouter(express(), { policy: 'p' })
      const tenants = wrapRouter(express.Router(), { policy: 'p' })
      const orders = wrapRouter(express.Router(), { policy: 'p' })
      tenants.use('/:tenant/orders', orders)
      sub.use('/tenants', tenants)
      app.use('/api', sub)
      app.use(orders)
      orders.get('/', operations)
      orders.get('/:id', operations)
      tenants.get('/', operations)
      const { url } = await serve(app)
      const get = async (path: string) => (await fetch(url + path)).json()
      expect(await get('/api/tenants')).toEqual(['GET /api/tenants'])
      // Mounted at two places: both are named, whichever the request came by.
      expect(await get('/api/tenants/42/orders/7')).toEqual(['GET [/api/tenants/:tenant/orders,/]/:id'])
    })

    it('by what it was told, before where it is mounted', async () => {
      const { app } = setup()
      wrapRouter(app, { policy: 'p' })
      const orders = wrapRouter(express.Router(), { policy: 'p', mount: '/v1/orders' })
      orders.get('/:id', operations)
      app.use('/orders', orders)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/orders/7`)).json()).toEqual(['GET /v1/orders/:id'])
    })

    it('from the router on where it is mounted on something that is not wrapped', async () => {
      const { app } = setup()
      const orders = wrapRouter(express.Router(), { policy: 'p' })
      orders.get('/:id', operations)
      app.use('/tenants/:tenant', orders)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/tenants/42/7`)).json()).toEqual(['GET /:id'])
    })
  })

  it('settles what a route did when the response is over', async () => {
    const { app } = setup()
    let received: KestState | undefined
    app.use((req, _res, next) => {
      received = req.kest!.state
      next()
    })
    const router = wrapRouter(express.Router(), { policy: 'p' })
    router.get('/x', operations)
    app.use(router)
    const { url } = await serve(app)
    await (await fetch(`${url}/x`)).text()
    await expect.poll(() => operationsOf(received!)).toEqual(['GET /x'])
  })
})

describe('options of wrapRouter', () => {
  it.each([
    ['nothing', undefined],
    ['no policy', {}],
    ['an operation, which routes have of their own', { policy: 'p', operation: 'x' }],
    ['an unknown option', { policy: 'p', excude: [] }],
    ['exclude that is no list', { policy: 'p', exclude: '/health' }],
    ['exclude with something that is no path', { policy: 'p', exclude: [/x/] }],
    ['mountUnwrapped that is no list', { policy: 'p', mountUnwrapped: '/docs' }],
    ['mount that is no path', { policy: 'p', mount: 'orders' }],
  ])('refuses %s', (_what, options) => {
    const [{ express }] = MAJORS as [(typeof MAJORS)[0]]
    expect(() => wrapRouter(express.Router(), options as never)).toThrow(KestConfigError)
  })

  it.each([
    ['a function', () => {}],
    ['an object', {}],
    ['nothing', undefined],
    ['a Map', new Map()],
  ])('refuses %s, which is no router', (_what, router) => {
    expect(() => wrapRouter(router as never, { policy: 'p' })).toThrow(KestConfigError)
  })
})
