import { MockPolicyEngine } from '@kest/core/testing'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { kestExpress, protect, wrapRouter } from '../src/index.js'
import { createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { raw, serve } from './support/server.js'

/** Error handlers that do not end a request, each in another way. */
const PASSING: [string, ErrorRequestHandler][] = [
  ['next()', (_error, _req, _res, next) => next()],
  ['next() later', (_error, _req, _res, next) => void setTimeout(next, 5)],
  [
    'next() twice',
    (_error, _req, _res, next) => {
      next()
      next()
    },
  ],
  [
    'next(), and again later',
    (_error, _req, _res, next) => {
      next()
      setTimeout(next, 5)
    },
  ],
  ["next('route')", (_error, _req, _res, next) => next('route')],
  ["next('router')", (_error, _req, _res, next) => next('router')],
]

describe.each(MAJORS)(
  "K-INGRESS a request that was refused with onError: 'next' on Express $major",
  ({ express }) => {
    /** Whether nothing ran, and what was answered. */
    async function outcome(
      declare: (app: ReturnType<typeof express>, handler: RequestHandler) => void,
      allow = true,
    ) {
      const { kest, engine } = createService({ engine: new MockPolicyEngine(allow) })
      const app = express()
      const handler = vi.fn((_req, res) => res.end('handler'))
      app.use((req, res, next) =>
        kestExpress({ kest, onError: 'next', ...(allow ? {} : { origin: 'internet' }) })(req, res, next),
      )
      declare(app, handler)
      app.use(handler)
      const { port } = await serve(app)
      const { status, body, head } = await raw(port, ['GET /x HTTP/1.1'])
      // What is called later has been.
      await new Promise((resolve) => setTimeout(resolve, 20))
      return {
        status,
        body,
        type: /^content-type: (.*)$/im.exec(head)?.[1],
        ran: handler.mock.calls.length,
        engine,
      }
    }

    const LINEAGE = {
      status: 403,
      type: 'application/problem+json',
      body: expect.stringContaining('ERR_KEST_LINEAGE_MISSING'),
    }
    const DENIED = {
      status: 403,
      type: 'application/problem+json',
      body: expect.stringContaining('ERR_KEST_DENIED'),
    }

    it.each(PASSING)('for its lineage reaches nothing by %s of an error handler', async (way, pass) => {
      for (const declare of [
        (app: ReturnType<typeof express>, handler: RequestHandler) => {
          app.use(pass)
          app.get('/x', handler)
          app.get('/x', protect({ policy: 'p' }), handler)
          app.use('/', express.Router().use(handler))
        },
        (app: ReturnType<typeof express>, handler: RequestHandler) => {
          const router = express.Router()
          router.use(pass)
          router.use(express.Router().get('/x', handler))
          app.use('/x', pass, handler)
          app.use(router)
          app.use(express().get('/x', handler))
        },
      ]) {
        const { engine, ...answer } = await outcome(declare)
        expect(answer.ran).toBe(0)
        // Whoever leaves the application's own router leaves it to Express, which has no route for it.
        if (way !== "next('router')" || answer.status !== 404) expect(answer).toEqual({ ...LINEAGE, ran: 0 })
        expect(engine.requests).toEqual([])
      }
    })

    it.each(PASSING)('by a policy reaches nothing by %s of an error handler', async (way, pass) => {
      for (const declare of [
        (app: ReturnType<typeof express>, handler: RequestHandler) => {
          app.get('/x', protect({ policy: 'p' }), pass, handler)
        },
        (app: ReturnType<typeof express>, handler: RequestHandler) => {
          app.get('/x', protect({ policy: 'p' }), handler)
          app.use(pass)
          app.get('/x', protect({ policy: 'p' }), handler)
          app.get('/x', handler)
        },
        (app: ReturnType<typeof express>, handler: RequestHandler) => {
          const router = wrapRouter(express.Router(), { policy: 'p' })
          router.get('/x', handler, pass, handler)
          router.use(pass, handler)
          app.use(router)
          app.use(pass)
        },
        (app: ReturnType<typeof express>, handler: RequestHandler) => {
          const inner = express()
          inner.get('/x', protect({ policy: 'p' }), handler)
          app.use(inner)
          app.use(pass)
        },
      ]) {
        const { engine, ...answer } = await outcome(declare, false)
        expect(answer.ran).toBe(0)
        // Whoever leaves the application's own router leaves it to Express, which has no route for it.
        if (way !== "next('router')" || answer.status !== 404) expect(answer).toEqual({ ...DENIED, ran: 0 })
        expect(engine.requests).toHaveLength(1)
      }
    })

    it('may be answered by an error handler, which is asked with the error, and alone', async () => {
      const errors: unknown[] = []
      const { ran, body } = await outcome((app, handler) => {
        app.get('/x', protect({ policy: 'p' }), handler)
        app.use(((error, _req, _res, next) => {
          errors.push(error.code)
          next(error)
        }) as ErrorRequestHandler)
        app.use(((_error, _req, res, next) => {
          res.status(404).end('mine')
          next()
        }) as ErrorRequestHandler)
      }, false)
      expect({ errors, ran, body }).toEqual({ errors: ['ERR_KEST_DENIED'], ran: 0, body: 'mine' })
    })

    it('is refused again where it is sent through the application once more', async () => {
      const { ran, body } = await outcome((app, handler) => {
        app.get('/x', protect({ policy: 'p' }), handler)
        app.use(((_error, req, res, _next) => {
          req.url = '/y'
          app(req, res)
        }) as ErrorRequestHandler)
        app.get('/y', handler)
      }, false)
      expect({ ran, body }).toEqual({ ran: 0, body: expect.stringContaining('ERR_KEST_DENIED') })
    })

    it('is answered by Kest where nothing stands behind the error handler, before its body has come', async () => {
      const { kest } = createService()
      const app = express()
      app.use(kestExpress({ kest, onError: 'next' }))
      app.use(((_error, _req, _res, next) => next()) as ErrorRequestHandler)
      const { port } = await serve(app)
      const { status, body } = await raw(port, ['POST /x HTTP/1.1', 'content-length: 100'], '{')
      expect([status, JSON.parse(body).code]).toEqual([403, 'ERR_KEST_LINEAGE_MISSING'])
    })

    it('stops no request of others', async () => {
      const { kest } = createService({
        engine: new MockPolicyEngine(({ context }) => context.object.id !== 'denied'),
      })
      const app = express()
      app.use(kestExpress({ kest, origin: 'internet', onError: 'next' }))
      const guard = protect({ policy: 'p', resource: (req) => ({ id: String(req.url?.slice(1)) }) })
      app.get('/:id', guard, (_req, res) => void res.end('handler'))
      app.use(((_error, _req, _res, next) => next()) as ErrorRequestHandler)
      app.use((_req, res) => void res.end('open'))
      const { url } = await serve(app)
      const statuses = await Promise.all(
        Array.from(
          { length: 40 },
          async (_, index) => (await fetch(`${url}/${index % 2 ? 'denied' : 'fine'}`)).status,
        ),
      )
      expect(statuses).toEqual(Array.from({ length: 40 }, (_, index) => (index % 2 ? 403 : 200)))
    })

    it('where the layers of the router are unknown is answered by Kest', async () => {
      const { kest } = createService()
      const next = vi.fn()
      const ingress = kestExpress({ kest, onError: 'next' })
      const others = [undefined, { handle: next }, Object.assign(() => undefined, { router: { stack: [1] } })]
      for (const app of others) {
        const { url } = await serve((req, res) => ingress(Object.assign(req, { app }), res, next))
        const response = await fetch(url)
        expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
          403,
          'ERR_KEST_LINEAGE_MISSING',
        ])
      }
      expect(next).not.toHaveBeenCalled()
    })
  },
)
