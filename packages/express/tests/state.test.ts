import type { Readable } from 'node:stream'
import { currentState, getCurrentUser, type KestState } from '@kest/core'
import { FakeClock } from '@kest/core/testing'
import type { Request, RequestHandler, Response } from 'express'
import { describe, expect, it, vi } from 'vitest'
import { kestExpress, protect, wrapRouter } from '../src/index.js'
import { createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

const ENDED = { code: 'ERR_KEST_STATE_ENDED' }

/** Reads a body by hand: what follows runs where the socket's events do. */
const readBody: RequestHandler = (req, _res, next) => {
  ;(req as Readable).on('data', () => undefined).on('end', () => next())
}

/** Goes on in nobody's context, as parsers may do on some versions of Node. */
const loseContext: RequestHandler = (_req, _res, next) => {
  lost.push(next)
}
const lost: (() => void)[] = []

describe.each(MAJORS)('K-STATE on Express $major', ({ express, major }) => {
  /** An application whose clock stands still: what ends there was ended, and did not run out. */
  function setup(options = {}) {
    const clock = new FakeClock()
    const service = createService({ clock })
    const app = express()
    app.use(kestExpress({ kest: service.kest, origin: 'user_input', ...options }))
    const states: KestState[] = []
    const note = (req: Request) => void states.push(req.kest!.state)
    return { ...service, app, clock, states, note }
  }

  it('K-STATE of a wrapped router ends when the response is closed and the handlers have settled', async () => {
    const { app, states, note } = setup()
    let settle = (): void => undefined
    const router = wrapRouter(express.Router(), { policy: 'p' })
    router.get(
      '/x',
      (req, _res, next) => {
        note(req)
        next()
      },
      async (_req, res) => {
        res.end('answered')
        await new Promise<void>((resolve) => {
          settle = resolve
        })
      },
    )
    app.use(router)
    const { url } = await serve(app)
    await (await fetch(`${url}/x`)).text()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(states[0]!.lifetime.ended).toBe(false)
    settle()
    await expect.poll(() => states[0]!.lifetime.ended).toBe(true)
  })

  it.each(['a callback', 'a bare protect()'])(
    'K-STATE with %s ends stateGraceMs after the close',
    async (kind) => {
      const { app, states, note, clock } = setup({ stateGraceMs: 5_000 })
      let closed = false
      const answer = (req: Request, res: Response) => {
        note(req)
        res.once('close', () => {
          closed = true
        })
        res.end('answered')
      }
      const before: RequestHandler[] = kind.endsWith('async handler')
        ? [async (_req, _res, next) => next()]
        : []
      if (kind.startsWith('a callback'))
        app.use(wrapRouter(express.Router(), { policy: 'p' }).get('/x', ...before, answer))
      else app.get('/x', protect({ policy: 'p' }), async (req, res) => answer(req, res))
      const { url } = await serve(app)
      await (await fetch(`${url}/x`)).text()
      await expect.poll(() => closed).toBe(true)
      clock.advance(4_999)
      expect(states[0]!.lifetime.ended).toBe(false)
      clock.advance(1)
      expect(states[0]!.lifetime.ended).toBe(true)
    },
  )

  it('K-STATE of every operation of a request ends, and that of its ingress', async () => {
    const { app, states, note } = setup({ stateGraceMs: 0 })
    const step: RequestHandler = (req, _res, next) => {
      note(req)
      next()
    }
    app.use(step)
    app.get(
      '/x',
      protect({ policy: 'p' }),
      step,
      protect({ policy: 'p', operation: 'inner' }),
      step,
      (_req, res) => {
        res.end()
      },
    )
    const { url } = await serve(app)
    await (await fetch(`${url}/x`)).text()
    await expect.poll(() => states.map(({ lifetime }) => lifetime.ended)).toEqual([true, true, true])
    expect(new Set(states).size).toBe(3)
  })

  it('K-STATE a rejection that nobody handles is still one', async () => {
    const { app } = setup()
    const seen: unknown[] = []
    const listeners = process.rawListeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (reason) => void seen.push(reason))
    try {
      const router = wrapRouter(express.Router(), { policy: 'p' })
      router.get('/x', (_req, res) => {
        res.end('answered')
        return Promise.reject(new Error('lost')) as never
      })
      app.use(router)
      app.use(
        ((_error, _req, _res, _next) => undefined) as (
          ...args: [unknown, Request, Response, unknown]
        ) => void,
      )
      const { url } = await serve(app)
      await (await fetch(`${url}/x`)).text()
      await new Promise((resolve) => setTimeout(resolve, 20))
      // Version 5 hands it to the error handlers; 4 does not look at what a handler answers.
      expect(seen).toEqual(major === 4 ? [expect.objectContaining({ message: 'lost' })] : [])
    } finally {
      process.removeAllListeners('unhandledRejection')
      for (const listener of listeners) process.on('unhandledRejection', listener as never)
    }
  })

  it.each([
    ['reads the body by hand', readBody] as const,
    ['goes on where nobody’s state is', loseContext] as const,
  ])(
    'K-STATE what stands behind a handler that %s runs in the request’s state all the same',
    async (_, parser) => {
      const { app, kest } = setup()
      const seen: unknown[] = []
      const send: RequestHandler = async (_req, res) => {
        seen.push(getCurrentUser())
        res.json(await kest.inject({}, 'http://hop2'))
      }
      const failing: RequestHandler = () => {
        throw new Error('no')
      }
      const onError = ((_error, _req, res, _next) => {
        seen.push(getCurrentUser())
        res.end('{}')
      }) as (...args: [unknown, Request, Response, unknown]) => void
      const router = wrapRouter(express.Router(), { policy: 'p', user: 'alice' })
      router.post('/x', parser, send)
      router.post('/failing', parser, failing, onError as never)
      app.use(router)
      const { url } = await serve(app)
      for (const path of ['/x', '/failing']) {
        const response = fetch(`${url}${path}`, { method: 'POST', body: 'text' })
        if (parser === loseContext) {
          await expect.poll(() => lost.length).toBe(1)
          expect(currentState()).toBeNull()
          lost.pop()!()
        }
        const body = await (await response).json()
        if (path === '/x') expect(body).toHaveProperty('baggage')
      }
      expect(seen).toEqual(['alice', 'alice'])
    },
  )

  it('K-STATE the guard may stand behind a parser: options see what was parsed, and what is denied goes no further', async () => {
    const { app, engine } = setup()
    const parse: RequestHandler = (req, _res, next) => {
      ;(req as { body?: unknown }).body = { order: 7 }
      next()
    }
    const handler = vi.fn((req: Request, res: Response) => void res.json({ user: req.kest!.user }))
    const router = wrapRouter(express.Router(), {
      policy: 'p',
      guard: 'last',
      resource: (req) => ({ id: String((req as unknown as { body: { order: number } }).body.order) }),
      user: 'alice',
    })
    router.post('/orders', parse, parse, handler)
    router.route('/split').post(parse).post(handler)
    app.use(router)
    const { url } = await serve(app)
    expect(await (await fetch(`${url}/orders`, { method: 'POST' })).json()).toEqual({ user: 'alice' })
    expect(engine.requests.map(({ context }) => context.object.id)).toEqual(['7'])
    // In front of what is declared first, where the last of all is not known.
    expect((await fetch(`${url}/split`, { method: 'POST' })).status).toBe(500)
    expect(handler).toHaveBeenCalledTimes(1)
  })

  it('K-STATE explicit forms on the request act in its state, whatever is ambient', async () => {
    const users: unknown[] = []
    const own = (async () => {
      users.push(getCurrentUser())
      return new globalThis.Response()
    }) as typeof fetch
    const { app, kest } = setup({ fetch: own })
    const router = wrapRouter(express.Router(), { policy: 'p', user: 'alice' })
    let background: Promise<unknown> | undefined
    router.get('/x', async (req, res) => {
      const { kest: own } = req as { kest: NonNullable<typeof req.kest> }
      const { fetch } = own
      const stranger = await kest.begin(
        { operation: 'o', policy: 'p', origin: 'system', user: 'bob' },
        { state: null },
      )
      await kest.run(stranger.enter(), async () => {
        users.push(getCurrentUser(), own.run(getCurrentUser))
        await fetch('http://hop2')
        expect(own.fork().frame).not.toBe(own.state.frame)
        const kept = own.keep()
        background = kept.run(async () => {
          await expect.poll(() => own.state.lifetime.ended).toBe(true)
          expect(() => own.keep()).toThrow(expect.objectContaining(ENDED))
          users.push(getCurrentUser())
          return kest.inject({}, 'http://hop2').finally(() => kept.end())
        })
      })
      res.end()
    })
    app.use(router)
    const { url } = await serve(app)
    await (await fetch(`${url}/x`)).text()
    expect(await background).toHaveProperty('baggage')
    expect(users).toEqual(['bob', 'alice', 'alice', 'alice'])
  })
})

it.each([{ stateGraceMs: -1 }, { stateGraceMs: '1' }, { fetch: {} }])('K-STATE refuses %o', (options) => {
  const { kest } = createService()
  expect(() => kestExpress({ kest, origin: 'user_input', ...options } as never)).toThrow(
    expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
  )
})

it('K-STATE refuses a place for the guard that is none', () => {
  const [{ express }] = MAJORS as [(typeof MAJORS)[0]]
  expect(() => wrapRouter(express.Router(), { policy: 'p', guard: 'middle' } as never)).toThrow(/guard/)
})
