import { Agent, request } from 'node:http'
import { currentState, getCurrentPassport, getCurrentUser, KestConfigError, type KestState } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type KestExpressOptions, kestExpress, protect, type RequestKest } from '../src/index.js'
import { callerHeaders, createService, operationsOf } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { raw, serve } from './support/server.js'

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

  it('K-ROOT refuses a request without lineage where it is not an edge, and nothing behind runs', async () => {
    const { app, seen } = setup()
    const { url } = await serve(app)

    const answer = await fetch(`${url}/open`)

    expect(answer.status).toBe(403)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toEqual({
      type: 'urn:kest:error:ERR_KEST_LINEAGE_MISSING',
      title: expect.any(String),
      status: 403,
      code: 'ERR_KEST_LINEAGE_MISSING',
    })
    expect(seen).toEqual([])
  })

  it('K-OPTIONAL lets in a request without lineage where it is optional, worth nothing whatever the route says', async () => {
    const { app, engine } = setup({ lineage: 'optional' })
    const raising = { policy: 'test', origin: 'internal', trustOverride: 100, user: 'admin' }
    app.get('/raising', protect(raising), (req, res) => {
      res.json(req.kest?.operation?.entry.trustScore)
    })
    const { url } = await serve(app)

    const answer = await fetch(`${url}/raising`)

    expect([await answer.json(), answer.headers.get('vary')]).toEqual([0, 'baggage'])
    expect(engine.requests.at(-1)?.context).toMatchObject({
      trust_score: 0,
      subject: { taints: ['kest.unproven'], user: null },
    })
    const headers = await callerHeaders(url, { user: 'alice' })
    expect(await (await fetch(`${url}/open`, { headers })).json()).toEqual({ user: 'alice', entries: 1 })
    const refused = await fetch(`${url}/open`, { headers: { baggage: 'kest.passport=%5B%5D' } })
    expect(refused.status).toBe(403)
    expect(await refused.json()).toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
  })

  it('K-EDGE takes kest.* out of what an edge receives, so that a handler cannot hand it on', async () => {
    const { app, seen, logger } = setup({ origin: 'internet' })
    const { url } = await serve(app)
    const { baggage } = await callerHeaders(url, { user: 'mallory' })

    const answer = await fetch(`${url}/open`, { headers: { baggage: `tenant=7,${baggage},kest.jwt=x` } })

    expect(await answer.json()).toEqual({ user: null, entries: 0 })
    expect(seen[0]?.headers['baggage']).toBe('tenant=7')
    expect(seen[0]?.ambient?.origin).toBe('internet')
    expect(logger.records.filter(({ message }) => message.includes('K-EDGE'))).toHaveLength(1)
  })

  it('K-SCOPE takes the lineage out of the headers, so that a handler that forwards them does not forward it', async () => {
    const { app, seen } = setup()
    const { url } = await serve(app)
    const { baggage } = await callerHeaders(url)
    for (const headers of [{ baggage }, { baggage: `tenant=7;p=1,${baggage},other=x` }] as Record<
      string,
      string
    >[]) {
      expect((await fetch(`${url}/open`, { headers })).status).toBe(200)
    }
    expect(seen.map(({ headers }) => headers['baggage'])).toEqual([undefined, 'tenant=7;p=1,other=x'])
    expect(seen.map(({ ambient }) => operationsOf(ambient!))).toEqual([['caller.call'], ['caller.call']])
  })

  it('K-EDGE looks at nothing of what kest.* holds at an edge', async () => {
    const { app } = setup({ origin: 'internet' })
    const { url } = await serve(app)
    const answer = await fetch(`${url}/open`, {
      headers: { baggage: 'kest.passport=%5B%22no%22%5D,KEST.passport=1' },
    })
    expect(answer.status).toBe(200)
  })

  it('keeps the states of requests on one connection apart', async () => {
    const { app, seen } = setup()
    const { url } = await serve(app)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const get = async (user: string) => {
      const headers = await callerHeaders(url, { user })
      return new Promise<number>((resolve, reject) => {
        const outgoing = request(`${url}/open`, { agent, headers }, (res) => {
          const { localPort } = res.socket
          res.resume().on('end', () => resolve(localPort!))
        })
        outgoing.on('error', reject).end()
      })
    }
    const first = await get('alice')
    const second = await get('bob')
    agent.destroy()

    expect(second).toBe(first)
    expect(seen.map(({ kest }) => kest?.user)).toEqual(['alice', 'bob'])
    expect(seen[0]?.kest?.state).not.toBe(seen[1]?.kest?.state)
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

  it('answers nothing itself when it lets a request in that matches no route, and makes no entry', async () => {
    const { app, engine } = setup()
    const { url } = await serve(app)
    const answer = await fetch(`${url}/nowhere`, { headers: await callerHeaders(url) })
    expect(answer.status).toBe(404)
    expect(engine.requests).toEqual([])
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

  it('tells a client nothing but the code', async () => {
    const { app } = setup()
    const { port } = await serve(app)
    const answer = await raw(port, [
      'GET /open HTTP/1.1',
      'baggage: kest.passport=%5B%22secret-in-here%22%5D',
    ])
    expect(answer.status).toBe(400)
    expect(answer.head + answer.body).not.toMatch(/secret-in-here|spiffe|node_modules| at /)
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'ERR_KEST_ENTRY_MALFORMED' })
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
