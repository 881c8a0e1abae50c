import { once } from 'node:events'
import { request, type ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { currentState, getCurrentUser, KestConfigError, type KestState } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { ErrorRequestHandler, Request } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { kestExpress, type OnError, protect } from '../src/index.js'
import { callerHeaders, createService, operationsOf } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

describe.each(MAJORS)('protect on Express $major', ({ express, major }) => {
  function setup(
    engine = new MockPolicyEngine(),
    options: Parameters<typeof createService>[0] = {},
    onError: OnError = 'respond',
  ) {
    const service = createService({ engine, ...options })
    const app = express()
    app.use(kestExpress({ kest: service.kest, origin: 'user_input', onError }))
    return { ...service, app }
  }

  it('F-AE-01 decides, signs one entry, and runs the handler in its state', async () => {
    const { app, engine } = setup()
    const states: (KestState | null)[] = []
    app.get('/orders/:id', protect({ policy: 'orders/read' }), (req, res) => {
      states.push(req.kest!.state, currentState())
      res.json({ operations: operationsOf(req.kest!.state), entry: req.kest!.operation!.entry.entry })
    })
    const { url } = await serve(app)

    const { operations, entry } = (await (await fetch(`${url}/orders/4711?q=1`)).json()) as {
      operations: string[]
      entry: Record<string, unknown>
    }

    expect(operations).toEqual(['GET /orders/:id'])
    expect(entry).toMatchObject({ operation: 'GET /orders/:id', parent_ids: ['0'], trust_score: 40 })
    expect(JSON.stringify(entry)).not.toContain('4711')
    expect(states[0]).toBe(states[1])
    expect(engine.requests.map(({ policies }) => policies)).toEqual([['orders/read']])
  })

  it('K-AMBIENT an answer says that it depends on the passport, beside what it depends on else', async () => {
    const { kest } = createService()
    const app = express()
    app.use(kestExpress({ kest }))
    app.get('/x', protect({ policy: 'p' }), (_req, res) => res.vary('Accept').end('ran'))
    const { url } = await serve(app)
    const answer = await fetch(`${url}/x`, { headers: await callerHeaders(url) })
    expect(answer.headers.get('vary')).toBe('baggage, Accept')
    expect((await fetch(`${url}/x`)).headers.get('vary')).toBe('baggage')
    const { app: edge } = setup()
    edge.get('/x', protect({ policy: 'p' }), (_req, res) => void res.end('ran'))
    expect((await fetch(`${(await serve(edge)).url}/x`)).headers.get('vary')).toBeNull()
  })

  it('links the entry to the lineage that came in', async () => {
    const { kest } = createService()
    const app = express()
    app.use(kestExpress({ kest }))
    app.get('/x', protect({ policy: 'p' }), (req, res) => {
      const [parent, own] = req.kest!.state.frame.lineage.entries()
      res.json({ hash: parent!.hash, parents: own!.entry.parent_ids, trust: own!.trustScore })
    })
    const { url } = await serve(app)
    const answer = await fetch(`${url}/x`, { headers: await callerHeaders(url) })
    const { hash, parents, trust } = (await answer.json()) as {
      hash: string
      parents: string[]
      trust: number
    }
    expect(parents).toEqual([hash])
    expect(trust).toBe(40)
  })

  it('answers 500 and runs nothing where no ingress middleware let the request in', async () => {
    const warning = once(process, 'warning')
    const app = express()
    const handler = vi.fn()
    app.get(`/unreceived-${major}`, protect({ policy: 'p' }), handler)
    const { url } = await serve(app)

    const answer = await fetch(`${url}/unreceived-${major}`)

    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ code: 'ERR_KEST_CONFIG' })
    expect(handler).not.toHaveBeenCalled()
    expect((await warning)[0]).toMatchObject({ name: 'KestWarning', code: 'ERR_KEST_CONFIG' })
  })

  it('answers 500 where the ingress middleware comes after it', async () => {
    const { kest } = createService()
    const app = express()
    const handler = vi.fn()
    app.get('/late', protect({ policy: 'p' }), kestExpress({ kest, origin: 'internet' }), handler)
    const { url } = await serve(app)
    expect((await fetch(`${url}/late`)).status).toBe(500)
    expect(handler).not.toHaveBeenCalled()
  })

  describe('when it is not allowed', () => {
    it('hands the error on with onError: next', async () => {
      const { kest } = createService({ engine: new MockPolicyEngine(false) })
      const app = express()
      const handler = vi.fn()
      app.use(kestExpress({ kest, origin: 'internet', onError: 'next' }))
      app.get('/x', protect({ policy: 'p' }), handler)
      const mine: ErrorRequestHandler = (error, _req, res, _next) => {
        res.status(error.statusCode).send(error.code)
      }
      app.use(mine)
      const { url } = await serve(app)
      const answer = await fetch(`${url}/x`)
      expect([answer.status, await answer.text()]).toEqual([403, 'ERR_KEST_DENIED'])
      expect(handler).not.toHaveBeenCalled()
    })

    it('cuts off an answer that a middleware had begun, so that it does not look complete', async () => {
      const { app } = setup(new MockPolicyEngine(false))
      const handler = vi.fn()
      app.get(
        '/x',
        (_req, res, next) => {
          res.write('begun')
          next()
        },
        protect({ policy: 'p' }),
        handler,
      )
      const { url } = await serve(app)
      await expect(fetch(`${url}/x`).then((answer) => answer.text())).rejects.toThrow()
      expect(handler).not.toHaveBeenCalled()
    })
  })

  describe('values of a request', () => {
    it('come from functions of the request', async () => {
      const { app, engine } = setup()
      app.get(
        '/orders/:id',
        protect({
          policy: 'orders/read',
          classification: 'confidential',
          addedTaints: ['pii'],
          user: async (req: Request) => req.get('x-user') ?? undefined,
          resource: (req: Request<{ id: string }>) => ({ id: `order:${req.params.id}` }),
        }),
        (req, res) => res.json(req.kest!.operation!.entry.entry),
      )
      const { url } = await serve(app)

      const entry = await (await fetch(`${url}/orders/7`, { headers: { 'x-user': 'alice' } })).json()

      expect(entry).toMatchObject({ classification: 'confidential', taints: ['pii'] })
      const { subject, object } = engine.requests[0]!.context
      expect([subject.user, object.id]).toEqual(['alice', 'order:7'])
    })

    it.each([
      ['an Error', Object.assign(new Error('no order in db7.internal'), { status: 404 })],
      ['nothing', undefined],
      ['"route"', 'route'],
      ['"router"', 'router'],
      ['null', null],
    ])('a function that throws %s ends the request, never in a handler', async (_what, thrown) => {
      for (const onError of ['respond', 'next'] as const) {
        const { app, logger } = setup(undefined, {}, onError)
        const handler = vi.fn((_req, res) => res.end('ran'))
        app.get(
          '/x',
          protect({
            policy: 'p',
            user: () => {
              throw thrown
            },
          }),
          handler,
        )
        app.get('/x', handler)
        const handled: unknown[] = []
        const errorHandler: ErrorRequestHandler = (error, _req, res, _next) => {
          handled.push(error)
          res.status(418).end()
        }
        app.use(errorHandler)
        const { url } = await serve(app)
        const answer = await fetch(`${url}/x`)
        expect(handler).not.toHaveBeenCalled()
        if (onError === 'next') {
          expect(answer.status).toBe(418)
          expect(handled[0]).toSatisfy((error) => error === thrown || (error as Error).cause === thrown)
        } else {
          const text = await answer.text()
          expect([answer.status, JSON.parse(text).code]).toEqual([500, 'ERR_KEST_CONFIG'])
          expect(text).not.toContain('db7')
          expect(handled).toEqual([])
        }
        if (thrown instanceof Error) expect(JSON.stringify(logger.records)).toMatch(/db7\.internal.*"at /)
      }
    })
  })

  describe('handlers', () => {
    it('may be asynchronous', async () => {
      const { app } = setup()
      app.get('/x', protect({ policy: 'p' }), async (req, res) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        res.send(String(currentState() === req.kest!.state))
      })
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).text()).toBe('true')
    })

    it('may answer from a callback', async () => {
      const { app } = setup()
      app.get('/x', protect({ policy: 'p' }), (req, res) => {
        setImmediate(() => process.nextTick(() => res.send(String(currentState() === req.kest!.state))))
      })
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).text()).toBe('true')
    })

    it('may throw, which is the application’s to handle, and the entry stays', async () => {
      const { app } = setup()
      let state: KestState | undefined
      app.get('/x', protect({ policy: 'p' }), (req) => {
        state = req.kest!.state
        throw new Error('boom')
      })
      const mine: ErrorRequestHandler = (error, _req, res, _next) => {
        res.status(418).send(error.message)
      }
      app.use(mine)
      const { url } = await serve(app)
      const answer = await fetch(`${url}/x`)
      expect([answer.status, await answer.text()]).toEqual([418, 'boom'])
      expect(operationsOf(state!)).toEqual(['GET /x'])
    })

    it.runIf(major === 5)('may reject, which Express 5 takes as an error', async () => {
      const { app } = setup()
      app.get('/x', protect({ policy: 'p' }), async () => {
        await Promise.reject(new Error('later'))
      })
      const mine: ErrorRequestHandler = (error, req, res, _next) => {
        res.status(418).send(`${error.message} ${currentState() === req.kest?.state}`)
      }
      app.use(mine)
      const { url } = await serve(app)
      const answer = await fetch(`${url}/x`)
      expect([answer.status, await answer.text()]).toEqual([418, 'later true'])
    })

    it('may stream what they read, in their state', async () => {
      const { app } = setup()
      const states = new Set<KestState | null>()
      app.post('/echo', protect({ policy: 'p' }), async (req, res) => {
        states.add(req.kest!.state)
        async function* upper(source: AsyncIterable<Buffer>) {
          for await (const chunk of source) {
            states.add(currentState())
            yield chunk.toString().toUpperCase()
          }
        }
        await pipeline(req, upper, new PassThrough(), res)
      })
      const { url } = await serve(app)
      const body = Readable.toWeb(Readable.from(['ab', 'cd', 'ef'])) as ReadableStream
      const answer = await fetch(`${url}/echo`, { method: 'POST', body, duplex: 'half' } as RequestInit)
      expect(await answer.text()).toBe('ABCDEF')
      expect(states.size).toBe(1)
    })
  })

  describe('K-AMBIENT a middleware that loses the ambient state', () => {
    it('costs nothing: the operation starts from the request, and its handler has both again', async () => {
      const { kest, engine } = createService()
      const app = express()
      const between: (KestState | null)[] = []
      app.use(kestExpress({ kest }))
      app.use((req, _res, next) => {
        const chunks: Buffer[] = []
        req.on('data', (chunk: Buffer) => chunks.push(chunk))
        req.on('end', () => {
          req.body = Buffer.concat(chunks).toString()
          between.push(currentState())
          next()
        })
      })
      app.post('/x', protect({ policy: 'p' }), (req, res) => {
        res.json({ body: req.body, same: currentState() === req.kest!.state, user: getCurrentUser() })
      })
      const { url } = await serve(app)
      const headers = await callerHeaders(url, { user: 'alice' })
      const answer = await fetch(`${url}/x`, { method: 'POST', body: 'hello', headers })
      expect(await answer.json()).toEqual({ body: 'hello', same: true, user: 'alice' })
      expect(engine.requests[0]?.context.lineage.operations).toEqual(['caller.call'])
      // Newer versions of Node keep it by themselves.
      if (process.versions.node.startsWith('20.')) expect(between).toEqual([null])
    })

    it('that comes behind it leaves req.kest.state, with which calls can be made', async () => {
      const { app, kest } = setup()
      const run = protect({ policy: 'p' })
      app.post('/x', run, (req, res) => {
        req
          .on('data', () => {})
          .on('end', async () => {
            const headers = await kest.run(req.kest!.state, () =>
              kest.inject({} as Record<string, string>, 'http://next:80'),
            )
            res.json({
              baggage: decodeURIComponent(headers['baggage'] ?? ''),
              tip: req.kest!.operation!.entry.hash,
            })
          })
      })
      const { url } = await serve(app)
      const answer = await fetch(`${url}/x`, { method: 'POST', body: 'hello' })
      const { baggage, tip } = (await answer.json()) as { baggage: string; tip: string }
      expect(baggage).toContain(`kest.chain_tip=${tip}`)
    })
  })

  describe('K-FLOW operations of one request', () => {
    it('are each in the one before', async () => {
      const { app } = setup()
      app.get(
        '/x',
        protect({ policy: 'a', operation: 'outer' }),
        protect({ policy: 'b', operation: 'inner' }),
        (req, res) => {
          const [outer, inner] = req.kest!.state.frame.lineage.entries()
          res.json({
            operations: operationsOf(req.kest!.state),
            linked: inner!.entry.parent_ids[0] === outer!.hash,
          })
        },
      )
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual({ operations: ['outer', 'inner'], linked: true })
    })

    it('join the request when the response is over, all of them', async () => {
      const { app } = setup()
      let received: KestState | undefined
      app.use((req, _res, next) => {
        received = req.kest!.state
        next()
      })
      app.get(
        '/x',
        protect({ policy: 'a', operation: 'outer' }),
        protect({ policy: 'b', operation: 'inner' }),
        (_req, res) => {
          res.end('done')
        },
      )
      const { url } = await serve(app)
      await (await fetch(`${url}/x`)).text()
      await expect.poll(() => operationsOf(received!)).toEqual(['outer', 'inner'])
    })

    it('are as many as the routes it goes through', async () => {
      const { app } = setup()
      app.get('/x', protect({ policy: 'a' }), (_req, _res, next) => next('route'))
      app.get('/:any', protect({ policy: 'b' }), (req, res) => res.json(operationsOf(req.kest!.state)))
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/x`)).json()).toEqual(['GET /x', 'GET /:any'])
    })
  })

  describe('a client that leaves', () => {
    it.each<[string, (res: ServerResponse) => void]>([
      ['has', (res) => res.writeHead(503).end('timed out')],
      ['has begun to have', (res) => res.writeHead(503).write('timed ')],
    ])(
      'or %s an answer by somebody else: nothing is signed, and the handler does not run',
      async (what, answer) => {
        const asked = withResolvers<void>()
        const decision = withResolvers<boolean>()
        const engine = new MockPolicyEngine(() => {
          asked.resolve(undefined)
          return decision.promise
        })
        const exporter = new InMemorySpanExporter()
        const spanProcessors = [new SimpleSpanProcessor(exporter)]
        const tracerProvider = new BasicTracerProvider({ spanProcessors })
        const { kest, logger } = createService({ engine, telemetry: { tracerProvider } })
        const app = express()
        app.use((_req, res, next) => {
          asked.promise.then(() => answer(res), next)
          next()
        })
        app.use(kestExpress({ kest, origin: 'user_input' }))
        const handler = vi.fn()
        app.get('/x', protect({ policy: 'p' }), handler)
        const { url } = await serve(app)

        const response = await fetch(`${url}/x`)
        decision.resolve(true)

        await expect
          .poll(() => logger.records.map(({ details }) => details['code']))
          .toEqual(['ERR_KEST_ABORTED'])
        expect(exporter.getFinishedSpans().map(({ attributes }) => attributes['kest.decision'])).toEqual([
          'deny',
        ])
        expect(handler).not.toHaveBeenCalled()
        expect(response.status).toBe(503)
        // Another's answer stays as it is, if it was complete.
        expect(await response.text().catch(() => 'cut off')).toBe(what === 'has' ? 'timed out' : 'cut off')
      },
    )

    it('before the ingress middleware saw it: no operation begins', async () => {
      const { kest, engine, logger } = createService()
      const app = express()
      const handler = vi.fn()
      app.use((_req, res, next) => void res.once('close', () => next()))
      app.use(kestExpress({ kest, origin: 'internet' }))
      app.get('/x', protect({ policy: 'p' }), handler)
      const { url, server } = await serve(app)
      const outgoing = request(`${url}/x`).on('error', () => {})
      outgoing.end()
      await once(server, 'request')
      outgoing.destroy()
      await expect
        .poll(() => logger.records.map(({ details }) => details['code']))
        .toEqual(['ERR_KEST_ABORTED'])
      expect(engine.requests).toEqual([])
      expect(handler).not.toHaveBeenCalled()
    })
  })

  describe('names of operations', () => {
    const name = (req: Request) => operationsOf(req.kest!.state).at(-1)

    it.each<[string, string | RegExp | string[], string]>([
      ['a path', '/plain', 'GET /plain'],
      ['the root', '/', 'GET /'],
      ['several paths', ['/a', '/plain'], 'GET [/a,/plain]'],
      ['a regular expression', /^\/pl(ai)n$/, 'GET /^\\/pl(ai)n$/'],
    ])('are made of %s', async (_what, path, expected) => {
      const { app } = setup()
      app.get(path, protect({ policy: 'p' }), (req, res) => res.send(name(req)))
      const { url } = await serve(app)
      expect(await (await fetch(`${url}${path === '/' ? '/' : '/plain'}`)).text()).toBe(expected)
    })

    it('begin where the application is mounted, in patterns', async () => {
      const { app } = setup()
      const sub = express()
      const subsub = express()
      subsub.get('/z/:id', protect({ policy: 'p' }), (req, res) => res.send(name(req)))
      sub.use('/y', subsub)
      app.use('/tenants/:tenant', sub)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/tenants/42/y/z/7`)).text()).toBe('GET /tenants/:tenant/y/z/:id')
    })

    it('begin at a router that is mounted, whose place Express does not tell', async () => {
      const { app } = setup()
      const router = express.Router()
      router.get('/z/:id', protect({ policy: 'p' }), (req, res) => res.send(name(req)))
      app.use('/tenants/:tenant', router)
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/tenants/42/z/7`)).text()).toBe('GET /z/:id')
    })

    it('can be given', async () => {
      const { app } = setup()
      app.use('/admin', protect({ policy: 'p', operation: 'admin' }), (req, res) => res.send(name(req)))
      const { url } = await serve(app)
      expect(await (await fetch(`${url}/admin/x`)).text()).toBe('admin')
    })

    it('must be given outside a route: 500, and nothing behind runs', async () => {
      const { app } = setup()
      const handler = vi.fn()
      app.use('/admin', protect({ policy: 'p' }), handler)
      const { url } = await serve(app)
      const answer = await fetch(`${url}/admin/x`)
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
        500,
        'ERR_KEST_CONFIG',
      ])
      expect(handler).not.toHaveBeenCalled()
    })
  })
})

describe('options of protect', () => {
  it.each([
    ['nothing', undefined],
    ['no policy', {}],
    ['SPEC §11.6 an empty list of policies', { policy: [] }],
    ['an empty policy', { policy: '' }],
    ['an unknown option', { policy: 'p', polcy: 'q' }],
    ['an empty operation', { policy: 'p', operation: '' }],
    ['F-TT-03 taints removed without a right to', { policy: 'p', removedTaints: ['pii'] }],
    ['labels of the protocol', { policy: 'p', labels: { principal: 'me' } }],
  ])('refuses %s when it is made', (_what, options) => {
    expect(() => protect(options as never)).toThrow(KestConfigError)
  })
})

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
