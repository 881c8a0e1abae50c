import { KEST_ERROR_CODES, KestError } from '@kest/core'
import type { FastifyInstance } from 'fastify'
import { describe, expect, it, type Mock, vi } from 'vitest'
import type { KestFastifyOptions } from '../src/index.js'
import { lineage, World } from './support/world.js'

const policy = { config: { kest: { policy: 'secret-policy' } } }

async function appOf(
  world: World,
  options: KestFastifyOptions = { origin: 'user_input' },
): Promise<{ app: FastifyInstance; run: Mock<() => Promise<string>> }> {
  const app = await world.app(options)
  const run = vi.fn(async () => 'ran')
  app.get('/x', policy, run)
  return { app, run }
}

describe('an answer', () => {
  it('K-AMBIENT says that it depends on the passport, beside what it depends on else', async () => {
    const { app } = await appOf(new World(), {})
    app.get('/y', policy, (_request, reply) => reply.header('vary', 'accept-language').send('ran'))
    app.get('/z', policy, (_request, reply) => reply.header('vary', '*').send('ran'))
    app.get('/open', { config: { kest: false } }, async () => 'ran')
    const headers = await lineage()
    const vary = async (url: string): Promise<unknown> => (await app.inject({ url, headers })).headers['vary']
    expect(await vary('/x')).toBe('baggage')
    expect(await vary('/y')).toBe('accept-language, baggage')
    expect(await vary('/z')).toBe('*')
    expect(await vary('/open')).toBeUndefined()
    expect((await app.inject('/x')).headers['vary']).toBe('baggage')
  })

  it('of an edge does not depend on baggage, of which it believes nothing', async () => {
    const { app } = await appOf(new World())
    expect((await app.inject({ url: '/x', headers: await lineage() })).headers['vary']).toBeUndefined()
  })
})

describe('a refusal', () => {
  it('has only codes that are documented', async () => {
    const { app } = await appOf(new World(false))
    expect(KEST_ERROR_CODES).toContain((await app.inject('/x')).json().code)
  })

  it('is not reshaped by serializers of the route', async () => {
    const world = new World(false)
    const app = await world.app()
    const reshape = () => '"reshaped"'
    app.setReplySerializer(reshape)
    app.get('/x', {
      ...policy,
      schema: { response: { '4xx': { type: 'object', properties: { message: { type: 'string' } } } } },
      onRequest: async (_request, reply) => {
        reply.serializer(reshape)
      },
      handler: async () => 'ran',
    })
    expect((await app.inject('/x')).json().code).toBe('ERR_KEST_DENIED')
  })

  it('passes through onSend and onResponse of the application', async () => {
    const world = new World(false)
    const app = await world.app()
    const seen: number[] = []
    app.addHook('onSend', async (_request, reply) => void reply.header('access-control-allow-origin', '*'))
    app.addHook('onResponse', async (_request, reply) => void seen.push(reply.statusCode))
    app.get('/x', policy, async () => 'ran')
    const response = await app.inject('/x')
    expect([response.statusCode, response.headers['access-control-allow-origin']]).toEqual([403, '*'])
    expect(seen).toEqual([403])
  })

  it('tells the reason to the log and the span, and over the wire to nobody', async () => {
    const world = new World(() => ({ allow: false, reason: 'embargo list 7' }))
    const { app, run } = await appOf(world)
    const response = await fetch(`${await app.listen({ host: '127.0.0.1', port: 0 })}/x`)
    expect(response.status).toBe(403)
    expect((await response.text()) + JSON.stringify([...response.headers])).not.toContain('embargo')
    expect(world.logger.records).toContainEqual(
      expect.objectContaining({ details: expect.objectContaining({ reason: 'embargo list 7' }) }),
    )
    expect(world.spans().map(({ attributes }) => attributes['kest.decision.reason'])).toEqual([
      'embargo list 7',
    ])
    expect(run).not.toHaveBeenCalled()
  })

  it('of an operation inside the handler ends in Fastify’s error handler, which has no name or address to show', async () => {
    const world = new World(({ policies: [policy] }) =>
      policy === 'inner-secret'
        ? Promise.reject(new Error('opa at 10.0.0.7 is down'))
        : policy !== 'inner-denied',
    )
    const app = await world.app()
    for (const inner of ['inner-secret', 'inner-denied']) {
      app.get(
        `/${inner}`,
        policy,
        world.kest.verified({ operation: 'inner', policy: inner }, async () => 'ran'),
      )
    }
    const [failed, denied] = [await app.inject('/inner-secret'), await app.inject('/inner-denied')]
    expect([failed.statusCode, failed.json().code]).toEqual([503, 'ERR_KEST_ENGINE'])
    expect([denied.statusCode, denied.json().code]).toEqual([403, 'ERR_KEST_DENIED'])
    expect(failed.body + denied.body).not.toMatch(/inner|10\.0\.0\.7/)
    expect(JSON.stringify(world.logger.records)).toMatch(/10\.0\.0\.7.*inner-denied/s)
  })

  it('is logged for the operator, with what was asked', async () => {
    const world = new World(false)
    const { app } = await appOf(world)
    await app.inject('/x')
    expect(JSON.stringify(world.logger.records)).toMatch(/secret-policy/)
  })
})

describe("onError: 'next'", () => {
  it("hands denials and refused lineage to the application's error handler", async () => {
    const world = new World(false)
    const { app, run } = await appOf(world, { onError: 'next' })
    const handled: unknown[] = []
    app.setErrorHandler((error, _request, reply) => {
      handled.push(error)
      return reply.code(418).send('mine')
    })
    app.get('/late', policy, run)
    const refused = await app.inject('/late')
    const denied = await app.inject({ url: '/late', headers: await lineage() })
    expect([refused.body, denied.body]).toEqual(['mine', 'mine'])
    expect(handled.map((error) => error instanceof KestError && error.code)).toEqual([
      'ERR_KEST_LINEAGE_MISSING',
      'ERR_KEST_DENIED',
    ])
    expect(run).not.toHaveBeenCalled()
  })

  it('answers the status of the code also without an error handler', async () => {
    const { app, run } = await appOf(new World(false), { origin: 'user_input', onError: 'next' })
    const response = await app.inject('/x')
    expect([response.statusCode, response.json().code]).toEqual([403, 'ERR_KEST_DENIED'])
    expect(run).not.toHaveBeenCalled()
  })
})

describe('a function of the route that fails', () => {
  const thrown: [string, unknown][] = [
    ['an error', Object.assign(new Error('no order in db7.internal'), { statusCode: 404 })],
    ['nothing', undefined],
    ['null', null],
    ['a text', 'oops'],
  ]

  it.each(thrown)('by throwing %s keeps the handler from running', async (_name, thrown) => {
    for (const later of [false, true]) {
      const world = new World()
      const app = await world.app()
      const run = vi.fn(async () => 'ran')
      const resource = later
        ? () => Promise.reject(thrown)
        : () => {
            throw thrown
          }
      app.get('/x', { config: { kest: { policy: 'test', resource } }, handler: run })
      const response = await app.inject('/x')
      expect([response.statusCode, response.json().code]).toEqual([500, 'ERR_KEST_CONFIG'])
      expect(response.headers['content-type']).toBe('application/problem+json')
      expect(response.body).not.toMatch(/db7|oops/)
      expect(run).not.toHaveBeenCalled()
      expect(world.signed()).toEqual([])
      if (thrown instanceof Error) expect(JSON.stringify(world.logger.records)).toMatch(/db7\.internal.*"at /)
    }
  })

  it.each(thrown)("with onError: 'next' hands %s on as an error", async (_name, thrown) => {
    const app = await new World().app({ origin: 'user_input', onError: 'next' })
    const run = vi.fn(async () => 'ran')
    const handled: unknown[] = []
    app.setErrorHandler((error, _request, reply) => {
      handled.push(error)
      return reply.code(418).send()
    })
    const user = () => Promise.reject(thrown)
    app.get('/x', { config: { kest: { policy: 'test', user } }, handler: run })
    expect((await app.inject('/x')).statusCode).toBe(418)
    if (thrown instanceof Error) expect(handled).toEqual([thrown])
    else expect(handled).toEqual([expect.objectContaining({ code: 'ERR_KEST_CONFIG', cause: thrown })])
    expect(run).not.toHaveBeenCalled()
  })

  it('keeps the handler from running when what it gives is no such value', async () => {
    const world = new World()
    const app = await world.app()
    const run = vi.fn(async () => 'ran')
    app.get('/x', {
      config: { kest: { policy: 'test', resource: () => ({ id: 7 }) as never } },
      handler: run,
    })
    const response = await app.inject('/x')
    expect([response.statusCode, response.json().code]).toEqual([500, 'ERR_KEST_CONFIG'])
    expect(run).not.toHaveBeenCalled()
  })
})
