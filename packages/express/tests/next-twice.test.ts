import { MockPolicyEngine } from '@kest/core/testing'
import type { RequestHandler } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { kestExpress, protect, wrapRouter } from '../src/index.js'
import { createService, operationsOf } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

/** A mistake that Express does not notice: a `return` is missing. */
const nextTwice: RequestHandler = (_req, _res, next) => {
  next()
  next()
}

describe.each(MAJORS)('a middleware that calls next() twice, on Express $major', ({ express }) => {
  type App = ReturnType<typeof express>

  const WAYS: [string, (app: App, handler: RequestHandler) => void][] = [
    [
      'before a protect() of a route',
      (app, handler) => void app.get('/x', nextTwice, protect({ policy: 'p' }), handler),
    ],
    [
      'before a protect() of a router',
      (app, handler) => void app.use(nextTwice, protect({ policy: 'p', operation: 'GET /x' }), handler),
    ],
    [
      'before two of them',
      (app, handler) =>
        void app.get('/x', nextTwice, protect({ policy: 'p' }), protect({ policy: 'p' }), handler),
    ],
    [
      'in a wrapped router, before its guard',
      (app, handler) => {
        const router = wrapRouter(express.Router(), { policy: 'p', guard: 'last' })
        router.get('/x', nextTwice, handler)
        app.use(wrapRouter(express.Router(), { policy: 'p' }).use(router))
      },
    ],
  ]

  async function answerTo(declare: (app: App) => void, engine: MockPolicyEngine, lineage = true) {
    const { kest } = createService({ engine })
    const app = express()
    const ingress = kestExpress({ kest, ...(lineage ? { origin: 'user_input' } : {}) })
    app.use(...(lineage ? [ingress] : [nextTwice, ingress]))
    declare(app)
    const { url } = await serve(app)
    const answer = await fetch(`${url}/x`)
    return { status: answer.status, body: await answer.text() }
  }

  it.each(WAYS)('K-ORDER %s reaches no handler that is denied', async (_, declare) => {
    const handler = vi.fn((_req, res) => res.end('ran'))
    const engine = new MockPolicyEngine(() => Promise.resolve(false))
    const { status } = await answerTo((app) => declare(app, handler), engine)
    expect([status, handler.mock.calls.length]).toEqual([403, 0])
  })

  it.each(WAYS)('F-AE-01 %s reaches one that is allowed, as the operation', async (_, declare) => {
    const handler: RequestHandler = (req, res) => void res.json(operationsOf(req.kest!.state))
    const engine = new MockPolicyEngine(() => Promise.resolve(true))
    const { status, body } = await answerTo((app) => declare(app, handler), engine)
    expect([status, new Set(JSON.parse(body))]).toEqual([200, new Set(['GET /x'])])
  })

  it('K-ORDER before two protections, of which the second denies, reaches no handler, however often it is called', async () => {
    const handler = vi.fn((_req, res) => res.end('ran'))
    const often: RequestHandler = (_req, _res, next) => {
      for (let i = 0; i < 4; i++) next()
    }
    const engine = new MockPolicyEngine(({ policies }) => Promise.resolve(!policies.includes('denied')))
    const { status } = await answerTo(
      (app) => void app.get('/x', often, protect({ policy: 'p' }), protect({ policy: 'denied' }), handler),
      engine,
    )
    expect([status, handler.mock.calls.length]).toEqual([403, 0])
  })

  it('K-INGRESS before kestExpress() reaches no handler without lineage', async () => {
    const handler = vi.fn((_req, res) => res.end('ran'))
    const { status } = await answerTo((app) => void app.get('/x', handler), new MockPolicyEngine(), false)
    expect([status, handler.mock.calls.length]).toEqual([403, 0])
  })
})
