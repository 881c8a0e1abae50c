import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import type { Server } from 'node:http'
import { currentState, getCurrentUser } from '@kest/core'
import { buildPassport } from '@kest/core/testing'
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

function tampered({ baggage }: { readonly baggage: string }): string {
  const [, compact = ''] = /kest\.passport=%5B%22([\w.-]+)%22%5D/.exec(baggage) ?? []
  const other = compact.replace(/.(?=.{60}$)/, (letter) => (letter === 'x' ? 'y' : 'x'))
  return baggage.replace(compact, other)
}

describe('an internal listener', () => {
  it('K-ROOT refuses a request without lineage', async () => {
    const { app, handler, world } = await setting()
    const response = await app.inject('/x')
    expect([response.statusCode, response.json().code]).toEqual([403, 'ERR_KEST_LINEAGE_MISSING'])
    expect(handler).not.toHaveBeenCalled()
    expect(world.spans()).toEqual([])
  })

  it.each([
    ['an empty passport', 'kest.passport=%5B%5D', 403, 'ERR_KEST_LINEAGE_MISSING'],
    ['a tip that lost its passport', `kest.chain_tip=${'a'.repeat(64)}`, 403, 'ERR_KEST_TIP'],
    ['what is no passport', 'kest.passport=%7B%7D', 400, 'ERR_KEST_PASSPORT_MALFORMED'],
    ['what is no entry', 'kest.passport=%5B%22a.b%22%5D', 400, 'ERR_KEST_ENTRY_MALFORMED'],
    ['a claim check that names nothing', 'kest.claim_check=6f0f3f0e-8f4e-4c52-9d5d-6d3c1d6c2a11', 403, null],
  ])('K-INGRESS refuses %s', async (_name, baggage, status, code) => {
    const { app, handler } = await setting()
    const response = await app.inject({ url: '/x', headers: { baggage } })
    expect(response.statusCode).toBe(status)
    if (code !== null) expect(response.json().code).toBe(code)
    expect(handler).not.toHaveBeenCalled()
  })

  it('K-OPTIONAL lets in a request without lineage where it is optional, worth nothing whatever the route says', async () => {
    const { app, world } = await setting({ lineage: 'optional' })
    const route = { policy: 'test', origin: 'internal', trustOverride: 100, user: 'admin' }
    app.get('/raising', { config: { kest: route } }, async ({ kest }) => kest?.operation?.entry.trustScore)
    const vary = (await app.inject('/x')).headers['vary']
    expect([(await app.inject('/raising')).json(), vary]).toEqual([0, 'baggage'])
    expect(world.engine.requests.at(-1)?.context).toMatchObject({
      trust_score: 0,
      subject: { taints: ['kest.unproven'], user: null },
    })
    expect((await app.inject({ url: '/x', headers: await lineage() })).json().user).toBe('alice')
    const refused = await app.inject({ url: '/x', headers: { baggage: 'kest.passport=%5B%5D' } })
    expect([refused.statusCode, refused.json().code]).toEqual([403, 'ERR_KEST_LINEAGE_MISSING'])
  })

  it('K-INGRESS refuses lineage whose signature does not hold', async () => {
    const { app, handler } = await setting()
    const response = await app.inject({ url: '/x', headers: { baggage: tampered(await lineage()) } })
    expect([response.statusCode, response.json().code]).toEqual([403, 'ERR_KEST_SIGNATURE'])
    expect(handler).not.toHaveBeenCalled()
  })

  it('K-BIND refuses lineage of a principal that nobody listed', async () => {
    const { app, handler } = await setting()
    const { headers } = await buildPassport([{ by: 'stranger', origin: 'system' }])
    const response = await app.inject({ url: '/x', headers })
    expect([response.statusCode, response.json().code]).toEqual([403, 'ERR_KEST_KEY_UNKNOWN'])
    expect(handler).not.toHaveBeenCalled()
  })

  it('K-INGRESS verifies what matches no route, and gives it no entry', async () => {
    const { app, world } = await setting()
    expect((await app.inject('/nothing')).statusCode).toBe(403)
    expect((await app.inject({ url: '/nothing', headers: await lineage() })).statusCode).toBe(404)
    expect(world.spans()).toEqual([])
  })

  it('K-AMBIENT knows who asks in a 404 handler of the application', async () => {
    const { app } = await setting()
    app.setNotFoundHandler(async (request, reply) =>
      reply.code(404).send({ user: request.kest?.user, ambient: getCurrentUser() }),
    )
    const response = await app.inject({ url: '/nothing', headers: await lineage('alice') })
    expect(response.json()).toEqual({ user: 'alice', ambient: 'alice' })
  })

  it('K-SCOPE leaves no lineage in the headers for a proxy to forward, and everything else', async () => {
    const { app } = await setting()
    const { baggage } = await lineage()
    const response = await app.inject({
      url: '/x',
      headers: { baggage: `tenant=7,${baggage},region=eu;ttl=1` },
    })
    expect(response.json().baggage).toBe('tenant=7,region=eu;ttl=1')
    const alone = await app.inject({ url: '/x', headers: { baggage } })
    expect(alone.json().baggage).toBeNull()
  })

  it('K-ONE joins several baggage lines', async () => {
    const { app } = await setting()
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const { baggage } = await lineage('alice')
    const answer = await sendRaw(address, rawRequest('/x', ['Baggage: tenant=7', `BAGGAGE: ${baggage}`]))
    expect(parseAnswer(answer)).toEqual({ status: 200, body: { user: 'alice', baggage: 'tenant=7' } })
  })

  it('K-ONE takes the same lineage twice for what it is', async () => {
    const { app } = await setting()
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const { baggage } = await lineage('alice')
    const answer = await sendRaw(address, rawRequest('/x', [`baggage: ${baggage}`, `baggage: ${baggage}`]))
    expect(parseAnswer(answer)).toMatchObject({ status: 200, body: { user: 'alice' } })
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
  it('K-EDGE removes inbound lineage, also forged, and begins anew', async () => {
    const { app, world, handler } = await setting({ origin: 'user_input' })
    const { baggage } = await lineage('mallory')
    const forged = `${baggage},Kest.User=mallory,kest.jwt=abc,tenant=7`
    const response = await app.inject({ url: '/x', headers: { baggage: forged } })
    expect(response.json()).toEqual({ user: null, baggage: 'tenant=7' })
    expect(handler).toHaveBeenCalledOnce()
    expect(world.engine.requests[0]?.context).toMatchObject({
      environment: { is_root: true },
      trust_score: 40,
    })
    expect(world.logger.records).toContainEqual(
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('K-EDGE') }),
    )
  })

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

  it('F-IC-05 is refused when there are two', async () => {
    const { app, handler } = await setting({ origin: 'user_input', token })
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const lines = [bearer({ sub: 'alice' }), bearer({ sub: 'bob' })].map(
      ({ authorization }) => `Authorization: ${authorization}`,
    )
    const { status } = parseAnswer(await sendRaw(address, rawRequest('/x', lines)))
    expect(status).toBe(401)
    expect(handler).not.toHaveBeenCalled()
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
