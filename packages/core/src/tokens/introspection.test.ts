import { text } from 'node:stream/consumers'
import { generateKeyPair, SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Issuer, startIssuer } from '../../tests/support/issuer.js'
import { FakeClock } from '../testing/fake-clock.js'
import type { IntrospectionOptions } from './introspection-options.js'
import { createTokenVerifier, type TokenVerifier } from './token.js'
import type { TokenOptions } from './token-options.js'

const AUDIENCE = 'urn:orders'
const refused = { code: 'ERR_KEST_TOKEN', statusCode: 401 }
const unavailable = { code: 'ERR_KEST_KEYS_UNAVAILABLE', statusCode: 503 }

let clock: FakeClock
let server: Issuer
let issuer: string
let status: number
/** What is said of the token that was asked about; text as it is. */
let say: (token: string) => unknown
let questions: { readonly authorization: string | undefined; readonly token: string }[]
let held: Promise<void>

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2030, 0, 1))
  status = 200
  questions = []
  held = Promise.resolve()
  say = (token) => ({
    active: token.startsWith('good'),
    sub: 'alice',
    client_id: 'web',
    scope: 'read',
    aud: AUDIENCE,
  })
  server = await startIssuer(async (request, response) => {
    if (request.method === 'GET') {
      response.end(JSON.stringify({ issuer, introspection_endpoint: `${issuer}/introspect` }))
      return
    }
    const token = new URLSearchParams(await text(request)).get('token') ?? ''
    questions.push({ authorization: request.headers.authorization, token })
    await held
    const said = say(token)
    response.writeHead(status).end(typeof said === 'string' ? said : JSON.stringify(said))
  })
  issuer = server.url
})

afterEach(() => server.close())

function verifier(options: Partial<IntrospectionOptions> = {}, more: object = {}): TokenVerifier {
  const introspection = { clientId: 'orders', clientSecret: 'a secret:é', ...options }
  return createTokenVerifier({ issuer, audience: AUDIENCE, introspection, ...more } as TokenOptions, {
    clock,
  })
}

describe('F-IC-05 tokens that an issuer is asked about', () => {
  it('say who acts as the answer has it, and are asked about by a client of the issuer', async () => {
    const token = await verifier()('Bearer good-1')
    expect(token?.identity).toEqual({ user: 'alice', agent: 'web', task: 'read' })
    expect(token?.validUntil).toBeNull()
    const basic = Buffer.from('orders:a+secret%3A%C3%A9').toString('base64')
    expect(questions).toEqual([{ authorization: `Basic ${basic}`, token: 'good-1' }])
  })

  it('are asked about once for a while, however many requests have them, and again when that is over', async () => {
    const verify = verifier()
    for (const token of ['good-1', 'bad-1']) {
      await Promise.allSettled(Array.from({ length: 50 }, () => verify(`Bearer ${token}`)))
      await verify(`Bearer ${token}`).catch(() => undefined)
    }
    expect(questions.map(({ token }) => token)).toEqual(['good-1', 'bad-1'])
    clock.advance(10_000)
    say = () => ({ active: false })
    await expect(verify('Bearer good-1')).rejects.toMatchObject(refused)
    expect(questions).toHaveLength(3)
  })

  it('are forgotten the oldest first, and made-up ones push out none that is in force', async () => {
    const verify = verifier({}, { maxRemembered: 2 })
    await verify('Bearer good-1')
    for (let i = 0; i < 10; i++) await expect(verify(`Bearer bad-${i}`)).rejects.toMatchObject(refused)
    await verify('Bearer good-1')
    expect(questions).toHaveLength(11)
    for (const token of ['good-2', 'good-3', 'good-1']) await verify(`Bearer ${token}`)
    expect(questions).toHaveLength(14)
  })

  it.each<[string, unknown]>([
    ['is not active', { active: false, sub: 'alice', aud: AUDIENCE }],
    ['is for somebody else', { active: true, aud: 'urn:payments' }],
    ['is for nobody', { active: true }],
    ['is of another issuer', { active: true, aud: AUDIENCE, iss: 'https://b.example' }],
    ['has expired', { active: true, aud: AUDIENCE, exp: Date.UTC(2030, 0, 1) / 1000 }],
    ['is not in force yet', { active: true, aud: AUDIENCE, nbf: Date.UTC(2030, 0, 1) / 1000 + 1 }],
    ['expires some day', { active: true, aud: AUDIENCE, exp: 'tomorrow' }],
    ['has a user that is none', { active: true, aud: AUDIENCE, sub: 7 }],
    ['is bound to a key', { active: true, aud: AUDIENCE, cnf: { jkt: 'AAAA' } }],
  ])('are refused when the issuer says that one %s', async (_, answer) => {
    say = () => answer
    await expect(verifier()('Bearer good')).rejects.toMatchObject(refused)
  })

  it('are refused when they expire, though the answer is remembered', async () => {
    const exp = clock.now() / 1000 + 5
    say = () => ({ active: true, aud: [AUDIENCE, 'urn:b'], sub: 'alice', exp })
    const verify = verifier()
    expect((await verify('Bearer good'))?.validUntil).toBe(exp * 1000)
    clock.advance(5000)
    await expect(verify('Bearer good')).rejects.toMatchObject(refused)
    expect(questions).toHaveLength(1)
  })

  it.each<[string, number, unknown]>([
    ['fails', 500, {}],
    ['refuses us', 401, {}],
    ['does not say', 200, {}],
    ['says something else', 200, { active: 'yes' }],
    ['says nothing', 200, null],
    ['says too much', 200, { active: true, pad: 'a'.repeat(100_000) }],
  ])('cannot be judged while the issuer %s', async (_, code, answer) => {
    status = code
    say = () => answer
    const error: Error = await verifier()('Bearer good-secret').catch((reason) => reason)
    expect(error).toMatchObject(unavailable)
    expect(`${error.message} ${String(error.cause)}`).not.toMatch(/good-secret|a secret/)
  })

  it('are asked about so many at a time', async () => {
    let release = (): void => {}
    held = new Promise((resolve) => {
      release = resolve
    })
    const verify = verifier({ maxConcurrent: 2, url: `${issuer}/introspect` })
    const waiting = [verify('Bearer good-1'), verify('Bearer good-2'), verify('Bearer good-2')]
    await expect(verify('Bearer good-3')).rejects.toMatchObject(unavailable)
    release()
    expect((await Promise.all(waiting)).every((token) => token?.identity.user === 'alice')).toBe(true)
    expect(await verify('Bearer good-3')).not.toBeNull()
  })

  it.each<[string, () => string | Promise<string>]>([
    ['never comes', () => new Promise<string>(() => {})],
    ['fails', () => Promise.reject(new Error('gone'))],
    ['is no text', () => undefined as unknown as string],
  ])('cannot be judged with a secret that %s, and hold nobody up by that', async (_, clientSecret) => {
    const verify = verifier({ clientSecret, timeoutMs: 50, maxConcurrent: 1 })
    for (const token of ['good-1', 'good-2'])
      await expect(verify(`Bearer ${token}`)).rejects.toMatchObject({
        ...unavailable,
        message: 'the issuer could not be asked about a token',
      })
    expect(questions).toEqual([])
  })

  it('are refused where claims nest without end', async () => {
    const nested = (depth: number): string =>
      `{"active":true,"aud":"${AUDIENCE}","details":${'['.repeat(depth)}${']'.repeat(depth)}}`
    say = (token) => nested(token === 'good-1' ? 30_000 : 60)
    const verify = verifier()
    await expect(verify('Bearer good-1')).rejects.toMatchObject(refused)
    expect(await verify('Bearer good-2')).not.toBeNull()
  })

  it('are not shown to an issuer that they do not name', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    const sign = (iss: string): Promise<string> =>
      new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).setIssuer(iss).sign(privateKey)
    const verify = verifier()
    await expect(verify(`Bearer ${await sign('https://b.example')}`)).rejects.toMatchObject(refused)
    expect(questions).toHaveLength(0)
    say = () => ({ active: true, aud: AUDIENCE, sub: 'bob' })
    expect((await verify(`Bearer ${await sign(issuer)}`))?.identity.user).toBe('bob')
  })

  it('stand in a list beside those of issuers with keys', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const other = 'https://b.example'
    const verify = createTokenVerifier(
      [
        { issuer, audience: AUDIENCE, introspection: { clientId: 'a', clientSecret: async () => 'b' } },
        { issuer: other, audience: AUDIENCE, jwks: publicKey },
      ],
      { clock },
    )
    const jwt = await new SignJWT({ sub: 'bob' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(other)
      .setAudience(AUDIENCE)
      .setExpirationTime(clock.now() / 1000 + 60)
      .sign(privateKey)
    expect((await verify(`Bearer ${jwt}`))?.identity.user).toBe('bob')
    expect(questions).toHaveLength(0)
    expect((await verify('Bearer good'))?.identity.user).toBe('alice')
  })

  it.each<[string, object, RegExp]>([
    ['keys, too', { jwks: 'https://id.example.org/jwks' }, /token\.jwks: means nothing/],
    ['no client', { introspection: { clientSecret: 'a' } }, /clientId/],
    ['no secret', { introspection: { clientId: 'a' } }, /clientSecret/],
    ['http', { introspection: { clientId: 'a', clientSecret: 'a', url: 'http://id.example.org' } }, /https/],
    [
      'an unknown option',
      { introspection: { clientId: 'a', clientSecret: 'a', cache: 1 } },
      /unknown option/,
    ],
    ['two issuers', { issuer: ['https://a.example', 'https://b.example'] }, /one issuer/],
  ])('are refused to be set up with %s', (_, more, because) => {
    expect(() => verifier({}, more)).toThrow(because)
  })
})
