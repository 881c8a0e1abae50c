import { MockPolicyEngine } from '@kest/core/testing'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { kestExpress, protect, wrapRouter } from '../src/index.js'
import { createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

describe.each(MAJORS)('an error of a protected handler on Express $major', ({ express, major }) => {
  let stderr: string
  beforeEach(() => {
    stderr = ''
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += text
      return true
    })
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.unstubAllEnvs()
  })

  const engine = () => new MockPolicyEngine(({ policies: [policy] }) => policy !== 'secret-policy')

  /** A denied operation within a handler that is allowed. */
  function setup(env: string, onError: 'respond' | 'next' = 'respond') {
    const { kest } = createService({ engine: engine() })
    const app = express()
    app.set('env', env)
    const inner = kest.verified({ operation: 'inner', policy: 'secret-policy' }, async () => 'ran')
    const nested: RequestHandler = (_req, _res, next) => void inner().catch(next)
    app.use(kestExpress({ kest, origin: 'internet', onError }))
    return { app, nested, kest }
  }

  it.each(['development', 'production', 'test'])(
    'that is the refusal of an operation within is never HTML and never a stack, in %s',
    async (env) => {
      vi.stubEnv('NODE_ENV', env)
      for (const onError of ['respond', 'next'] as const) {
        const { app, nested, kest } = setup(env, onError)
        app.get('/route', protect({ policy: 'p' }), nested)
        app.use('/router', wrapRouter(express.Router(), { policy: 'p' }).get('/x', nested))
        app.use('/app', express().get('/x', nested))
        app.get('/thrown', protect({ policy: 'p' }), async (_req, _res, next) => {
          await kest.begin({ operation: 'inner', policy: 'secret-policy' }).catch(next)
        })
        const { url } = await serve(app)
        for (const path of ['/route', '/router/x', '/app/x', '/thrown', '/route']) {
          const response = await fetch(url + path)
          const text = await response.text()
          expect([response.status, response.headers.get('content-type')]).toEqual([
            403,
            'application/problem+json',
          ])
          expect(JSON.parse(text).code).toBe('ERR_KEST_DENIED')
          expect(text).not.toMatch(/secret-policy|inner|\bat .*:\d+|<pre>/)
        }
      }
      expect(stderr.includes('no error handler')).toBe(env !== 'test')
    },
  )

  it("that is Kest's own by onError: 'next' and that nobody answers is none either", async () => {
    const { app } = setup('development', 'next')
    app.get('/x', protect({ policy: 'secret-policy' }), (_req, res) => void res.end('ran'))
    const { url } = await serve(app)
    const response = await fetch(`${url}/x`)
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      403,
      'ERR_KEST_DENIED',
    ])
  })

  it('is answered by error handlers of the application first, whenever they were declared', async () => {
    const { app, nested } = setup('development')
    app.get('/x', protect({ policy: 'p' }), nested)
    const { url } = await serve(app)
    expect((await fetch(`${url}/x`)).status).toBe(403)
    const seen: unknown[] = []
    app.use(((error, _req, res, _next) => {
      seen.push(error.code)
      res.status(418).end('mine')
    }) as ErrorRequestHandler)
    expect([(await fetch(`${url}/x`)).status, (await fetch(`${url}/x`)).status]).toEqual([418, 418])
    expect(seen).toEqual(['ERR_KEST_DENIED', 'ERR_KEST_DENIED'])
  })

  it('that is the application’s own goes Express’s way', async () => {
    const { app } = setup('production')
    app.get('/x', protect({ policy: 'p' }), (_req, _res, next) =>
      next(Object.assign(new Error('mine'), { statusCode: 409 })),
    )
    const { url } = await serve(app)
    const response = await fetch(`${url}/x`)
    expect([response.status, response.headers.get('content-type')]).toEqual([409, 'text/html; charset=utf-8'])
    expect(await response.text()).toContain('Conflict')
  })

  it('adds to the application once, however many requests there are', async () => {
    const { app } = setup('development')
    app.get('/x', (_req, res) => void res.end('open'))
    const { url } = await serve(app)
    const router = major === 5 ? app.router : (app as unknown as { _router: unknown })._router
    const { stack } = router as { stack: unknown[] }
    const before = stack.length
    for (let n = 0; n < 5; n++) await fetch(`${url}/x`)
    expect(stack.length).toBe(before + 2)
  })

  it('after half of an answer cuts the connection', async () => {
    const { app, nested } = setup('development')
    app.get('/x', protect({ policy: 'p' }), (req, res, next) => {
      res.write('half')
      nested(req, res, next)
    })
    const { url } = await serve(app)
    await expect(fetch(`${url}/x`).then((response) => response.text())).rejects.toThrow()
  })
})
