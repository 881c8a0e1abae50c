import { currentState, getCurrentPassport, getCurrentUser, KestConfigError, type KestState } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type KestExpressOptions, kestExpress, protect, type RequestKest } from '../src/index.js'
import { callerHeaders, createService, operationsOf } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

describe.each(MAJORS)('kestExpress on Express $major', ({ express }) => {
  function setup(options: KestExpressOptions = {}) {
    const service = createService()
    const seen: {
      kest: RequestKest | undefined
      ambient: KestState | null
      headers: Record<string, unknown>
    }[] = []
    const app = express()
    app.use(kestExpress({ kest: service.kest, ...options }))
    app.get('/open', (req, res) => {
      seen.push({ kest: req.kest, ambient: currentState(), headers: { ...req.headers } })
      res.json({ user: getCurrentUser(), entries: getCurrentPassport()?.length })
    })
    return { ...service, app, seen }
  }

  it('F-CP-02 restores the passport of a request, verifies it, and keeps it on the request and ambient', async () => {
    const { app, seen } = setup()
    const { url } = await serve(app)
    const headers = await callerHeaders(url, { user: 'alice', addedTaints: ['pii'] })

    const answer = await fetch(`${url}/open`, { headers })

    expect(await answer.json()).toEqual({ user: 'alice', entries: 1 })
    const [{ kest, ambient } = seen[0]!] = seen
    expect(kest?.state).toBe(ambient)
    expect(kest?.user).toBe('alice')
    expect(kest?.agent).toBeNull()
    expect(kest?.task).toBeNull()
    expect(kest?.operation).toBeNull()
    expect(kest?.passport.length).toBe(1)
    expect(operationsOf(ambient!)).toEqual(['caller.call'])
    expect(ambient!.frame.lineage.tips[0]?.taints).toEqual(['pii'])
  })

  it('is inert when the same middleware is passed again', async () => {
    const { kest, engine } = createService()
    const ingress = kestExpress({ kest })
    const app = express()
    app.use(ingress)
    app.use('/a', ingress)
    app.get('/a', ingress, protect({ policy: 'p' }), (req, res) => res.json(operationsOf(req.kest!.state)))
    const { url } = await serve(app)

    const answer = await fetch(`${url}/a`, { headers: await callerHeaders(url) })

    expect(await answer.json()).toEqual(['caller.call', 'GET /a'])
    expect(engine.requests).toHaveLength(1)
  })

  it('refuses a second one on the way of a request, which could loosen the first', async () => {
    const { kest } = createService()
    let ran = false
    const app = express()
    app.use(kestExpress({ kest }))
    app.use('/inner', kestExpress({ kest, mode: 'off' }))
    app.get('/inner', (_req, res) => {
      ran = true
      res.end()
    })
    const { url } = await serve(app)

    const answer = await fetch(`${url}/inner`, { headers: await callerHeaders(url) })

    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ code: 'ERR_KEST_CONFIG' })
    expect(ran).toBe(false)
  })

  it('has its own options on each of two routers that stand side by side', async () => {
    const { kest } = createService()
    const inner = express.Router()
    inner.use(kestExpress({ kest }))
    inner.get('/x', (_req, res) => res.end())
    const edge = express.Router()
    edge.use(kestExpress({ kest, origin: 'internet' }))
    edge.get('/x', (_req, res) => res.end())
    const app = express()
    app.use('/inner', inner)
    app.use('/edge', edge)
    const { url } = await serve(app)

    expect((await fetch(`${url}/inner/x`)).status).toBe(403)
    expect((await fetch(`${url}/edge/x`)).status).toBe(200)
  })

  it('hands errors on with onError: next, and nothing behind runs but error handlers', async () => {
    const { kest } = createService()
    const app = express()
    let ran = false
    app.use(kestExpress({ kest, onError: 'next' }))
    app.get('/x', () => {
      ran = true
    })
    app.use(
      (
        error: { code: string; statusCode: number },
        _req: unknown,
        res: import('express').Response,
        _next: unknown,
      ) => {
        res.status(error.statusCode).send(`mine: ${error.code}`)
      },
    )
    const { url } = await serve(app)

    const answer = await fetch(`${url}/x`)

    expect(answer.status).toBe(403)
    expect(await answer.text()).toBe('mine: ERR_KEST_LINEAGE_MISSING')
    expect(ran).toBe(false)
  })

  it.each<[string, () => unknown]>([
    ['answers neither true nor false', async () => true],
    [
      'throws',
      () => {
        throw Object.assign(new Error('no user in db7.internal'), { status: 404 })
      },
    ],
  ])('K-IDENT switchIdentity that %s refuses the request', async (_what, switchIdentity) => {
    const { kest } = createService()
    const app = express()
    app.use(kestExpress({ kest, origin: 'internet', switchIdentity: switchIdentity as () => boolean }))
    app.get('/x', (_req, res) => res.end())
    const { url } = await serve(app)
    const answer = await fetch(`${url}/x`)
    const text = await answer.text()
    expect([answer.status, JSON.parse(text).code]).toEqual([500, 'ERR_KEST_CONFIG'])
    expect(text).not.toContain('db7')
  })
})

describe('options of kestExpress', () => {
  const { kest } = createService()

  it.each([
    ['an unknown option', { orgin: 'internet' }],
    ['an option of lineage at an edge', { origin: 'internet', mode: 'tip' }],
    ['another onError', { onError: 'throw' }],
    ['switchIdentity of another type', { switchIdentity: 'yes' }],
    ['an empty origin', { origin: '' }],
    ['an instance that is none', { kest: {} }],
  ])('refuses %s when it is made', (_what, options) => {
    expect(() => kestExpress({ kest, ...options } as never)).toThrow(KestConfigError)
  })

  it('F-GC-04 refuses to be made where Kest is not configured', () => {
    expect(() => kestExpress({ origin: 'internet' })).toThrow(/configure/)
  })

  it('refuses an internal listener without trust material', () => {
    const { kest: blind } = createService({ trust: [], logger: new RecordingLogger() })
    expect(() => kestExpress({ kest: blind })).toThrow(/trust/)
  })
})
