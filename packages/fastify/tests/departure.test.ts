import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { setTimeout as wait } from 'node:timers/promises'
import type { KestState, KeySource } from '@kest/core'
import { buildPassport } from '@kest/core/testing'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { kestFastify } from '../src/index.js'
import { deferred } from './support/deferred.js'
import { connected, rawRequest } from './support/raw.js'
import { handlerTimeout, heldTimeLimit } from './support/time-limit.js'
import { createApp, World } from './support/world.js'

const policy = { config: { kest: { policy: 'test' } } }

/** A world whose engine decides when it is told to. */
function hesitant(): {
  readonly world: World
  readonly asked: Promise<void>
  decide(allowed?: boolean): void
} {
  const asked = deferred()
  const decision = deferred<boolean>()
  const world = new World(() => {
    asked.resolve()
    return decision.promise
  })
  return { world, asked: asked.promise, decide: (allowed = true) => decision.resolve(allowed) }
}

describe('a client that leaves', () => {
  it('K-ORDER over HTTP/2, before its lineage was judged: the handler does not run', async () => {
    const world = new World()
    const app = createApp({ http2: true } as never)
    const arrived = deferred()
    app.addHook('onRequest', async (_request, reply) => {
      arrived.resolve()
      await once(reply.raw, 'close')
    })
    await app.register(kestFastify, { kest: world.kest, origin: 'user_input' })
    const run = vi.fn(async () => 'ran')
    app.get('/x', policy, run)
    const client = connectHttp2(await app.listen({ host: '127.0.0.1', port: 0 }))
    const stream = client.request({ ':path': '/x' }).on('error', () => undefined)
    await arrived.promise
    stream.close(constants.NGHTTP2_CANCEL)
    await expect.poll(() => world.denied()).toEqual(['GET /x'])
    expect(run).not.toHaveBeenCalled()
    client.destroy()
  })

  it('before its lineage was judged: the same', async () => {
    const world = new World()
    const app = createApp()
    const arrived = deferred()
    const judged = deferred()
    app.addHook('onRequest', async (_request, reply) => {
      arrived.resolve()
      await once(reply.raw, 'close')
    })
    await app.register(kestFastify, { kest: world.kest, origin: 'user_input' })
    app.addHook('onRequest', async () => judged.resolve())
    const run = vi.fn(async () => 'ran')
    app.get('/x', policy, run)
    const socket = await connected(await app.listen({ host: '127.0.0.1', port: 0 }))
    socket.write(rawRequest('/x', []))
    await arrived.promise
    socket.destroy()
    await judged.promise
    await expect.poll(() => world.denied()).toEqual(['GET /x'])
    expect(run).not.toHaveBeenCalled()
  })

  it.each(['/x', '/nothing'])(
    'K-STATE has its answer to %s: nothing aborts, so that work in the background goes on in the state it kept',
    async (url) => {
      const world = new World()
      const app = await world.app()
      const background = deferred<unknown>()
      const audit = world.kest.verified({ operation: 'audit', policy: 'test' }, async () => 'written')
      const answer = async (request: FastifyRequest, reply: FastifyReply) => {
        const kept = request.kest!.keep()
        reply.raw.once('close', () => setTimeout(() => background.resolve(kept.run(audit)), 5))
        return reply.send('answered')
      }
      app.post('/x', policy, answer)
      app.setNotFoundHandler(answer)
      const address = await app.listen({ host: '127.0.0.1', port: 0 })
      await fetch(new URL(url, address), {
        method: 'POST',
        body: '{"a":1}',
        headers: { 'content-type': 'application/json' },
      })
      expect(await background.promise).toBe('written')
    },
  )
})

it('a request that timed out while its operation was being decided runs no handler, signs nothing, answers once', async () => {
  const limit = heldTimeLimit()
  const { world, asked, decide } = hesitant()
  const log: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => void log.push(line) } }
  const app = await world.app({ origin: 'user_input' }, { logger })
  app.setErrorHandler((_error, _request, reply) => reply.code(503).send('timed out'))
  const run = vi.fn(async () => 'ran')
  app.get('/x', { ...policy, handlerTimeout }, run)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const response = fetch(`${address}/x`)
  await asked
  limit.over()
  expect(await (await response).text()).toBe('timed out')
  await wait(5)
  decide()
  await expect.poll(() => world.denied()).toEqual(['GET /x'])
  await wait(5)
  expect(world.signed()).toEqual([])
  expect(run).not.toHaveBeenCalled()
  expect(log).toEqual([])
})

it.each([
  ['while its operation is decided, allowed', true, 'onSend'],
  ['while its operation is decided, denied', false, 'onSend'],
  ['while its operation is decided, and its error handler takes its time', true, 'errorHandler'],
])(
  'K-ORDER a request whose time is over %s runs no handler, though others hold the answer back',
  async (_, decision, who) => {
    const limit = heldTimeLimit()
    const { world, asked, decide } = hesitant()
    const app = await world.app()
    const held = deferred()
    const answering = deferred()
    const hold = async (): Promise<void> => {
      answering.resolve()
      await held.promise
    }
    if (who === 'onSend') {
      app.addHook('onSend', async (_request, _reply, payload) => {
        await hold()
        return payload
      })
    } else {
      app.setErrorHandler(async (_error, _request, reply) => {
        await hold()
        return reply.code(503).send('timed out')
      })
    }
    const run = vi.fn(async () => 'ran')
    app.post('/x', { ...policy, handlerTimeout }, run)
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const response = fetch(`${address}/x`, { method: 'POST' })
    await asked
    limit.over()
    await answering.promise
    decide(decision)
    await expect.poll(() => world.denied()).toEqual(['POST /x'])
    await wait(5)
    held.resolve()
    const { status } = await response
    expect(status).toBe(503)
    expect(await (await response).text()).not.toContain('ERR_KEST')
    expect(run).not.toHaveBeenCalled()
    expect(world.signed()).toEqual([])
  },
)

it('K-ORDER a request whose time is over while its lineage is judged runs no handler, though its answer is held back', async () => {
  const limit = heldTimeLimit()
  const sought = deferred()
  const found = deferred()
  const { headers, trust: keys } = await buildPassport([{ by: 'gateway', origin: 'user_input' }])
  const slow: KeySource = {
    name: 'slow',
    kind: 'keys',
    generation: 0,
    find: async (query) => {
      sought.resolve()
      await found.promise
      return await keys.find(query)
    },
  }
  const world = new World(true, { trust: slow })
  const app = await world.app({})
  const held = deferred()
  const answering = deferred()
  app.addHook('onSend', async (_request, _reply, payload) => {
    answering.resolve()
    await held.promise
    return payload
  })
  const run = vi.fn(async () => 'ran')
  app.post('/x', { ...policy, handlerTimeout }, run)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const response = fetch(`${address}/x`, { method: 'POST', headers })
  await sought.promise
  limit.over()
  await answering.promise
  found.resolve()
  await wait(20)
  held.resolve()
  expect((await response).status).toBe(503)
  expect(run).not.toHaveBeenCalled()
  expect(world.engine.requests).toEqual([])
})

it('K-FLOW an operation joins the frame of its request when the response is over', async () => {
  const world = new World()
  const app = await world.app()
  const received = deferred<KestState>()
  app.addHook('preHandler', async (request) => received.resolve(request.kest!.state))
  app.get('/x', policy, async () => 'ran')
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const response = await fetch(`${address}/x`)
  const { frame } = await received.promise
  expect(await response.text()).toBe('ran')
  await expect.poll(() => frame.lineage.tips.map(({ entry }) => entry.operation)).toEqual(['GET /x'])
})
