import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import type { Server } from 'node:http'
import { currentState, getCurrentUser } from '@kest/core'
import type { FastifyHttpOptions, FastifyInstance } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import type { KestFastifyOptions } from '../src/index.js'
import { parseAnswer, rawRequest, sendRaw } from './support/raw.js'
import { lineage, World } from './support/world.js'

interface Setting {
  readonly world: World
  readonly app: FastifyInstance
  readonly handler: ReturnType<typeof vi.fn>
}

/** One protected route, and a handler that remembers being called. */
async function setting(
  options: KestFastifyOptions = {},
  server?: FastifyHttpOptions<Server>,
): Promise<Setting> {
  const world = new World()
  const app = await world.app(options, server)
  const handler = vi.fn((request) => ({ user: getCurrentUser(), baggage: request.headers.baggage ?? null }))
  app.get('/x', { config: { kest: { policy: 'test' } } }, async (request) => handler(request))
  return { world, app, handler }
}

describe('an internal listener', () => {
  it('K-AMBIENT knows who asks in a 404 handler of the application', async () => {
    const { app } = await setting()
    app.setNotFoundHandler(async (request, reply) =>
      reply.code(404).send({ user: request.kest?.user, ambient: getCurrentUser() }),
    )
    const response = await app.inject({ url: '/nothing', headers: await lineage('alice') })
    expect(response.json()).toEqual({ user: 'alice', ambient: 'alice' })
  })

  it.each([
    ['two lineages', async () => [(await lineage('alice')).baggage, (await lineage('bob')).baggage]],
    ['a misspelled key', async () => [(await lineage()).baggage, 'Kest.user=admin']],
    ['an encoded key', async () => [(await lineage()).baggage, '%6Best.user=admin']],
    ['two users', async () => [(await lineage()).baggage, 'kest.user=bob']],
  ])('K-ONE refuses %s', async (_name, lines) => {
    const { app, handler } = await setting()
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const headers = (await lines()).map((line) => `baggage: ${line}`)
    const { status, body } = parseAnswer(await sendRaw(address, rawRequest('/x', headers)))
    expect([status, body['code']]).toEqual([400, 'ERR_KEST_BAGGAGE'])
    expect(handler).not.toHaveBeenCalled()
  })

  it('K-LIMIT refuses baggage that is too long, Node at 16 KiB and Kest where Node was told to take more', async () => {
    const { baggage } = await lineage()
    const long = (length: number) =>
      rawRequest('/x', [`baggage: ${baggage}`, `baggage: padding=${'x'.repeat(length)}`])
    const usual = await setting()
    const answer = await sendRaw(await usual.app.listen({ host: '127.0.0.1', port: 0 }), long(20_000))
    expect(answer).toMatch(/^HTTP\/1.1 431 /)
    const large = await setting({}, { http: { maxHeaderSize: 200_000 } })
    const { status, body } = parseAnswer(
      await sendRaw(await large.app.listen({ host: '127.0.0.1', port: 0 }), long(70_000)),
    )
    expect([status, body['code']]).toEqual([400, 'ERR_KEST_LIMIT'])
    expect(usual.handler).not.toHaveBeenCalled()
    expect(large.handler).not.toHaveBeenCalled()
  })
})

describe('an edge', () => {
  it('K-EDGE takes the origin of a route for the trust of its root', async () => {
    const world = new World()
    const app = await world.app({ origin: 'user_input' })
    app.get('/crawl', { config: { kest: { policy: 'test', origin: 'internet' } } }, async () => 'x')
    await app.inject('/crawl')
    expect(world.engine.requests[0]?.context.trust_score).toBe(10)
  })
})

describe('a bearer token', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const token = { jwks: publicKey, issuer: 'https://issuer.test', audience: 'orders' }

  function bearer(claims: Record<string, unknown>): { authorization: string } {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const exp = Math.floor(Date.now() / 1000) + 60
    const input = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part({ iss: token.issuer, aud: token.audience, exp, ...claims })}`
    return {
      authorization: `Bearer ${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`,
    }
  }

  it('F-IC-05 says who acts', async () => {
    const world = new World()
    const app = await world.app({ origin: 'user_input', token })
    app.get('/x', { config: { kest: { policy: 'test' } } }, async ({ kest }) => [
      kest?.user,
      kest?.agent,
      kest?.task,
      kest?.state.jwt?.length,
    ])
    const headers = bearer({ sub: 'alice', client_id: 'web', scope: 'orders:read' })
    const response = await app.inject({ url: '/x', headers })
    expect(response.json()).toEqual(['alice', 'web', 'orders:read', headers.authorization.length - 7])
    expect(world.engine.requests[0]?.context.subject).toMatchObject({
      user: 'alice',
      agent: 'web',
      task: 'orders:read',
    })
  })

  it.each([
    ['expired', bearer({ sub: 'alice', exp: 1 })],
    ['for somebody else', bearer({ sub: 'alice', aud: 'billing' })],
    ['no token', { authorization: 'Bearer a.b.c' }],
    ['absent, and required', {}],
  ])('F-IC-05 is refused when it is %s', async (_name, headers) => {
    const { app, handler } = await setting({ origin: 'user_input', token: { ...token, required: true } })
    const response = await app.inject({ url: '/x', headers })
    expect([response.statusCode, response.json().code]).toEqual([401, 'ERR_KEST_TOKEN'])
    expect(response.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(handler).not.toHaveBeenCalled()
  })

  it('F-IC-05 is taken with a proof of the key that it is bound to, for this very request (DPoP)', async () => {
    const world = new World()
    const dpop = { origins: 'https://orders.test' }
    const app = await world.app({ origin: 'user_input', token: { ...token, dpop } })
    app.get('/x/:id', { config: { kest: { policy: 'test' } } }, async ({ kest }) => kest?.user)
    const client = generateKeyPairSync('ed25519')
    const { x } = client.publicKey.export({ format: 'jwk' })
    const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')
    const jkt = sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
    const jwt = bearer({ sub: 'alice', cnf: { jkt } }).authorization.slice('Bearer '.length)
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const prove = (htu: string, jti: string) => {
      const header = { alg: 'EdDSA', typ: 'dpop+jwt', jwk: { crv: 'Ed25519', kty: 'OKP', x } }
      const claims = { htm: 'GET', htu, jti, iat: Math.floor(Date.now() / 1000), ath: sha256(jwt) }
      const input = `${part(header)}.${part(claims)}`
      return `${input}.${sign(null, Buffer.from(input), client.privateKey).toString('base64url')}`
    }
    const get = (proof: string) =>
      app.inject({ url: '/x/7?a=b', headers: { authorization: `DPoP ${jwt}`, dpop: proof } })
    const good = prove('https://orders.test/x/7', 'once')
    expect((await get(good)).body).toBe('alice')
    for (const proof of [
      good,
      prove('https://orders.test/x/8', 'other'),
      prove('http://localhost/x/7', 'third'),
    ])
      expect((await get(proof)).statusCode).toBe(401)
  })

  it('K-IDENT may name another only where the route allows it', async () => {
    const world = new World()
    const app = await world.app({ token })
    const handler = async () => getCurrentUser()
    app.get('/same', { config: { kest: { policy: 'test' } } }, handler)
    app.get('/switch', { config: { kest: { policy: 'test', switchIdentity: true } } }, handler)
    const headers = { ...(await lineage('alice')), ...bearer({ sub: 'bob' }) }
    const refused = await app.inject({ url: '/same', headers })
    expect([refused.statusCode, refused.json().code]).toEqual([403, 'ERR_KEST_IDENTITY_CONFLICT'])
    expect((await app.inject({ url: '/switch', headers })).body).toBe('bob')
  })
})

describe('request.kest', () => {
  it('is there from the first hook after ingress, without an operation yet', async () => {
    const world = new World()
    const app = await world.app({})
    const seen: unknown[] = []
    app.addHook(
      'preParsing',
      async (request) =>
        void seen.push(request.kest?.user, request.kest?.operation, request.kest?.state === currentState()),
    )
    app.get('/x', { config: { kest: { policy: 'test' } } }, async () => 'x')
    await app.inject({ url: '/x', headers: await lineage('alice') })
    expect(seen).toEqual(['alice', null, true])
  })
})
