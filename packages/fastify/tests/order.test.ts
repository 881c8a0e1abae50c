import compress from '@fastify/compress'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import multipart from '@fastify/multipart'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import websocket from '@fastify/websocket'
import { getCurrentUser } from '@kest/core'
import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type KestFastifyOptions, kestFastify } from '../src/index.js'
import { createApp, lineage, World } from './support/world.js'

const policy = { config: { kest: { policy: 'test' } } }
const PREFLIGHT = { origin: 'https://shop.test', 'access-control-request-method': 'POST' }

/** The order that the manual gives: what is for every request, then Kest, then the rest. */
async function ordered(world: World, options: KestFastifyOptions = {}): Promise<FastifyInstance> {
  const app = createApp()
  await app.register(underPressure, { exposeStatusRoute: true })
  await app.register(cors, { origin: ['https://shop.test', 'https://app.test'] })
  await app.register(helmet)
  await app.register(rateLimit, { global: false })
  app.addHook('onRequest', app.rateLimit({ max: 5 }))
  await app.register(kestFastify, { kest: world.kest, exclude: ['OPTIONS *', '/status'], ...options })
  await app.register(websocket)
  await app.register(compress, { threshold: 0 })
  await app.register(multipart)
  app.post('/x', policy, async () => ({ user: getCurrentUser() }))
  return app
}

afterEach(() => vi.restoreAllMocks())

describe('in the order of the manual', () => {
  it('@fastify/cors answers preflights, which bring neither lineage nor token', async () => {
    const app = await ordered(new World())
    const response = await app.inject({ method: 'OPTIONS', url: '/x', headers: PREFLIGHT })
    expect([response.statusCode, response.headers['access-control-allow-origin']]).toEqual([
      204,
      'https://shop.test',
    ])
  })

  it.each([
    ['lineage', {}, new World(), 403, 'ERR_KEST_LINEAGE_MISSING'],
    ['a policy', { origin: 'user_input' }, new World(false), 403, 'ERR_KEST_DENIED'],
  ])(
    'refusals by %s have the headers of @fastify/cors and @fastify/helmet',
    async (_by, options, world, status, code) => {
      const app = await ordered(world, options)
      const { statusCode, headers, body } = await app.inject({
        method: 'POST',
        url: '/x',
        headers: { origin: 'https://shop.test' },
      })
      expect([statusCode, JSON.parse(body).code]).toEqual([status, code])
      expect(headers).toMatchObject({
        'access-control-allow-origin': 'https://shop.test',
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.any(String),
        'x-ratelimit-remaining': '4',
      })
      if (code === 'ERR_KEST_LINEAGE_MISSING') expect(headers['vary']).toBe('Origin, baggage')
    },
  )

  it('forged passports meet @fastify/rate-limit', async () => {
    const world = new World()
    const app = await ordered(world)
    const forged = { baggage: 'kest.passport=%5B%22e30.e30.AA%22%5D' }
    const statuses: number[] = []
    for (let n = 0; n < 8; n++) {
      statuses.push((await app.inject({ method: 'POST', url: '/x', headers: forged })).statusCode)
    }
    expect(statuses).toEqual([403, 403, 403, 403, 403, 429, 429, 429])
  })

  it('@fastify/under-pressure answers its status, and sheds load before lineage is judged', async () => {
    const app = await ordered(new World())
    expect((await app.inject('/status')).statusCode).toBe(200)
    const shed = createApp()
    await shed.register(underPressure, { healthCheck: async () => false, healthCheckInterval: 1_000 })
    await shed.register(kestFastify, { kest: new World().kest })
    shed.post('/x', policy, async () => 'ran')
    expect((await shed.inject({ method: 'POST', url: '/x' })).statusCode).toBe(503)
  })

  it('@fastify/compress, @fastify/multipart and @fastify/websocket work behind', async () => {
    const app = await ordered(new World())
    app.post('/upload', policy, async (request) => {
      const names: string[] = []
      for await (const part of request.parts()) {
        names.push(part.fieldname)
        if (part.type === 'file') await part.toBuffer()
      }
      return { names, user: getCurrentUser(), kest: request.kest?.user }
    })
    const form = new FormData()
    form.set('a', '1')
    form.set('f', new Blob(['file'.repeat(1000)]), 'f.txt')
    const response = await fetch(`${await app.listen({ host: '127.0.0.1', port: 0 })}/upload`, {
      method: 'POST',
      body: form,
      headers: { ...(await lineage()), 'accept-encoding': 'gzip' },
    })
    expect(response.headers.get('content-encoding')).toBe('gzip')
    expect(response.headers.get('vary')?.split(', ').sort()).toEqual(['Origin', 'accept-encoding', 'baggage'])
    expect(await response.json()).toEqual({ names: ['a', 'f'], user: 'alice', kest: 'alice' })
  })

  it("a preflight of an origin that is not allowed is no route's business", async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const app = createApp()
    await app.register(cors, { origin: (_origin, done) => done(null, false) })
    await app.register(kestFastify, {
      kest: new World().kest,
      origin: 'user_input',
      exclude: ['OPTIONS *'],
    })
    app.post('/x', policy, async () => 'ran')
    const response = await app.inject({ method: 'OPTIONS', url: '/x', headers: PREFLIGHT })
    expect([response.statusCode, response.headers['access-control-allow-origin']]).toEqual([404, undefined])
    expect(warned).not.toHaveBeenCalled()
  })
})

describe('an order that cannot work fails at start, and says which does', () => {
  const LATE = [
    ['@fastify/cors', cors],
    ['@fastify/helmet', helmet],
    ['@fastify/rate-limit', rateLimit],
    ['@fastify/under-pressure', underPressure],
  ] as unknown as [string, FastifyPluginCallback][]
  const refusal = (name: string) => ({
    code: 'ERR_KEST_CONFIG',
    message: expect.stringMatching(
      new RegExp(`${name} was registered after it.*then kestFastify, then everything`),
    ),
  })

  it.each(LATE)('%s after it', async (name, plugin) => {
    for (const awaited of [true, false]) {
      const app = createApp()
      app.register(kestFastify, { kest: new World().kest, origin: 'user_input' })
      if (awaited) await app.after()
      app.register(plugin)
      await expect(app.ready()).rejects.toMatchObject(refusal(name))
    }
  })

  it.each(LATE)('%s after it, in a scope inside that has routes', async (name, plugin) => {
    const app = createApp()
    app.register(kestFastify, { kest: new World().kest, origin: 'user_input' })
    app.register(async (scope) => {
      await scope.register(plugin)
      scope.get('/x', policy, async () => 'ran')
    })
    await expect(app.ready()).rejects.toMatchObject(refusal(name))
  })

  it.each(LATE)(
    '%s in a scope between two registrations, of which the outer runs first',
    async (name, plugin) => {
      const app = createApp()
      app.register(kestFastify, { kest: new World().kest, origin: 'user_input' })
      app.register(async (scope) => {
        await scope.register(plugin)
        await scope.register(kestFastify, { origin: 'internet' })
      })
      await expect(app.ready()).rejects.toMatchObject(refusal(name))
    },
  )

  it.each(LATE)('%s around the scope of it, later and for others, is no mistake', async (_name, plugin) => {
    const app = createApp()
    app.register(async (scope) => {
      await scope.register(kestFastify, { kest: new World().kest, origin: 'user_input' })
      scope.get('/x', policy, async () => 'ran')
    })
    app.register(plugin)
    await app.ready()
    expect((await app.inject('/x')).statusCode).toBe(200)
  })

  it.each(LATE)('%s before it is no mistake, in the same scope or around', async (_name, plugin) => {
    const app = createApp()
    await app.register(plugin)
    app.register(async (scope) => {
      await scope.register(kestFastify, { kest: new World().kest, origin: 'user_input' })
      scope.get('/x', policy, async () => 'ran')
    })
    await app.ready()
    expect((await app.inject('/x')).statusCode).toBe(200)
  })
})
