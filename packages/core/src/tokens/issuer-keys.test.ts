import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { type JWK, SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Issuer, startIssuer } from '../../tests/support/issuer.js'
import { FakeClock } from '../testing/fake-clock.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { createTokenVerifier, type TokenVerifier } from './token.js'
import type { VerifiedTokenOptions } from './token-options.js'

const AUDIENCE = 'urn:orders'
const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface TestKey {
  readonly privateKey: KeyObject
  readonly jwk: JWK
}

/** Throw-away keys of this test. */
function keyPair(kid: string | undefined): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), ...(kid !== undefined && { kid }) } as JWK,
  }
}

const first = keyPair('k1')
const second = keyPair('k2')

let clock: FakeClock
let logger: RecordingLogger
let server: Issuer
let issuer: string
/** What is published at present, and what was asked for. */
let keys: unknown[]
let asked: string[]
let answer: RequestListener

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2030, 0, 1))
  logger = new RecordingLogger()
  keys = [first.jwk]
  asked = []
  answer = (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.url === '/.well-known/openid-configuration')
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }))
    else response.end(JSON.stringify({ keys }))
  }
  server = await startIssuer((request, response) => {
    asked.push(request.url ?? '')
    answer(request, response)
  })
  issuer = server.url
})

afterEach(() => server.close())

function verifier(options: Partial<VerifiedTokenOptions> = {}): TokenVerifier {
  return createTokenVerifier({ issuer, audience: AUDIENCE, ...options }, { clock, logger })
}

async function bearer(
  { privateKey, jwk }: TestKey,
  { kid = jwk.kid, seconds = 24 * 3600, iss = issuer, sub = 'alice' } = {},
): Promise<string> {
  const jwt = new SignJWT({ sub })
    .setIssuer(iss)
    .setAudience(AUDIENCE)
    .setExpirationTime(clock.now() / 1000 + seconds)
    .setProtectedHeader({ alg: 'EdDSA', ...(kid !== undefined && { kid }) })
  return `Bearer ${await jwt.sign(privateKey)}`
}

const refused = { code: 'ERR_KEST_TOKEN', statusCode: 401 }
const unavailable = { code: 'ERR_KEST_KEYS_UNAVAILABLE', statusCode: 503 }
const keysAsked = (): number => asked.filter((path) => path === '/keys').length

describe('F-IC-05 an issuer that is discovered', () => {
  it('has its keys where its metadata say', async () => {
    expect((await verifier()(await bearer(first)))?.identity.user).toBe('alice')
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  it('may have metadata of OAuth alone, before its path', async () => {
    const tenant = `${issuer}/tenant`
    const usual = answer
    answer = (request, response) => {
      if (request.url === '/.well-known/oauth-authorization-server/tenant')
        response.end(JSON.stringify({ issuer: tenant, jwks_uri: `${issuer}/keys` }))
      else if (request.url?.includes('.well-known')) response.writeHead(404).end()
      else usual(request, response)
    }
    const verify = verifier({ issuer: tenant })
    expect(await verify(await bearer(first, { iss: tenant }))).not.toBeNull()
    expect(asked[0]).toBe('/tenant/.well-known/openid-configuration')
  })

  it.each<[string, (self: string) => unknown]>([
    ['another issuer', (self) => ({ issuer: `${self}/other`, jwks_uri: `${self}/keys` })],
    ['itself with a slash', (self) => ({ issuer: `${self}/`, jwks_uri: `${self}/keys` })],
    ['no issuer', (self) => ({ jwks_uri: `${self}/keys` })],
    ['no keys', (self) => ({ issuer: self })],
    ['keys over http', (self) => ({ issuer: self, jwks_uri: 'http://id.example.org/keys' })],
    ['keys in a file', (self) => ({ issuer: self, jwks_uri: 'file:///keys' })],
    ['keys at a list', (self) => ({ issuer: self, jwks_uri: [`${self}/keys`] })],
    ['a list', () => []],
    ['nothing', () => null],
  ])('is not believed when its metadata name %s', async (_, metadata) => {
    answer = (_request, response) => response.end(JSON.stringify(metadata(issuer)))
    await expect(verifier()(await bearer(first))).rejects.toMatchObject(unavailable)
    expect(keysAsked()).toBe(0)
  })

  it('is not followed to where it redirects', async () => {
    const usual = answer
    answer = (request, response) => {
      if (request.url === '/elsewhere') usual(request, response)
      else response.writeHead(302, { location: '/elsewhere' }).end()
    }
    await expect(verifier()(await bearer(first))).rejects.toMatchObject(unavailable)
    expect(asked).not.toContain('/elsewhere')
  })

  it('is read no further than its metadata may be long', async () => {
    answer = (_, response) => response.end(JSON.stringify({ issuer, pad: 'a'.repeat(5 * 1024 * 1024) }))
    await expect(verifier()(await bearer(first))).rejects.toMatchObject(unavailable)
  })
})

describe('F-IC-05 keys that an issuer publishes', () => {
  it('are read no further than they may be long', async () => {
    keys = [{ ...first.jwk, pad: 'a'.repeat(5 * 1024 * 1024) }]
    await expect(verifier()(await bearer(first))).rejects.toMatchObject(unavailable)
  })

  it('are passed over where they are of kinds that are not used here', async () => {
    keys = [
      { kty: 'oct', kid: 'k1', k: 'AAAA' },
      { kty: 'AKP', kid: 'k1', alg: 'ML-DSA-44', pub: 'AAAA' },
      { kty: 'OKP', crv: 'X25519', kid: 'k1', use: 'enc', x: 'AAAA' },
      'rubbish',
      null,
      first.jwk,
    ]
    expect(await verifier()(await bearer(first))).not.toBeNull()
  })

  it('are all tried for a token that names none', async () => {
    const [a, b] = [keyPair(undefined), keyPair(undefined)]
    keys = [a.jwk, b.jwk]
    const verify = verifier()
    expect(await verify(await bearer(a))).not.toBeNull()
    expect(await verify(await bearer(b))).not.toBeNull()
    await expect(verify(await bearer(keyPair(undefined)))).rejects.toMatchObject(refused)
  })

  it('rotate without a request that fails, however soon', async () => {
    const verify = verifier()
    let kid = 0
    for (const key of [first, second, keyPair('k3'), keyPair('k4')]) {
      keys = [key.jwk]
      const results = await Promise.all(Array.from({ length: 20 }, async () => verify(await bearer(key))))
      expect(results.every((token) => token?.identity.user === 'alice')).toBe(true)
      expect(keysAsked()).toBe(++kid)
    }
  })

  it('are fetched once for 1,000 tokens with made-up names, at once and one after another', async () => {
    const verify = verifier()
    await verify(await bearer(first))
    const strange = await Promise.all(
      Array.from({ length: 500 }, (_, i) => bearer(second, { kid: `unknown-${i}` })),
    )
    await Promise.all(strange.map((token) => expect(verify(token)).rejects.toMatchObject(refused)))
    for (const token of strange) await expect(verify(token)).rejects.toMatchObject(refused)
    expect(keysAsked()).toBe(2)
    expect(await verify(await bearer(first))).not.toBeNull()

    clock.advance(30_000)
    await expect(verify(strange[0] as string)).rejects.toMatchObject(refused)
    expect(keysAsked()).toBe(3)
  })

  it('are not fetched for what is no token of theirs', async () => {
    const verify = verifier()
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const none = `Bearer ${encode({ alg: 'none', kid: 'k1' })}.${encode({ iss: issuer })}.`
    for (const token of [none, 'Bearer x', 'Bearer a.b.c'])
      await expect(verify(token)).rejects.toMatchObject(refused)
    expect(asked).toEqual([])
  })

  it('go on for the time that was said while they cannot be fetched, and then no longer', async () => {
    const verify = verifier({ jwksMaxStaleMs: 2 * HOUR })
    const token = await bearer(first)
    await verify(token)
    answer = (_, response) => response.writeHead(500).end()
    clock.advance(2 * HOUR)
    expect(await verify(token)).not.toBeNull()
    expect(logger.records.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warn the keys of an issuer could not be refreshed: those that there are go on',
    ])
    clock.advance(1)
    await expect(verify(token)).rejects.toMatchObject(unavailable)
    await expect(verify(await bearer(first))).rejects.toMatchObject(unavailable)
  })

  it('are not waited for while they are tried again after that failed, by tokens that need no other', async () => {
    const verify = verifier({ jwksTimeoutMs: 60_000 })
    const token = await bearer(first)
    await verify(token)
    const usual = answer
    answer = (_, response) => response.writeHead(500).end()
    clock.advance(20 * MINUTE)
    await verify(token)
    const again = new Promise<() => void>((resolve) => {
      answer = (request, response) => resolve(() => usual(request, response))
    })
    clock.advance(20 * MINUTE)
    expect(await verify(token)).not.toBeNull()
    expect(await verify(await bearer(first, { sub: 'bob' }))).not.toBeNull()
    const other = verify(await bearer(second))
    keys = [first.jwk, second.jwk]
    const answerIt = await again
    answer = usual
    answerIt()
    expect(await other).not.toBeNull()
  })

  it('are made no younger by a clock that is set back', async () => {
    const verify = verifier()
    const token = await bearer(first)
    await verify(token)
    answer = (_, response) => response.writeHead(500).end()
    for (let i = 0; i < 4; i++) {
      for (const minutes of [20, -20]) {
        clock.advance(minutes * MINUTE)
        await verify(token).catch(() => undefined)
      }
    }
    await expect(verify(token)).rejects.toMatchObject(unavailable)
  })

  it('are asked for once while they cannot be had, however many wait, and soon again', async () => {
    const usual = answer
    answer = (_, response) => response.writeHead(500).end()
    const verify = verifier()
    const token = await bearer(first)
    await Promise.all(
      Array.from({ length: 100 }, () => expect(verify(token)).rejects.toMatchObject(unavailable)),
    )
    await expect(verify(token)).rejects.toMatchObject(unavailable)
    // Of OpenID Connect, then of OAuth.
    expect(asked).toHaveLength(2)
    answer = usual
    clock.advance(2_000)
    expect(await verify(token)).not.toBeNull()
  })

  it('are gone when the issuer says that it has none', async () => {
    const verify = verifier()
    const token = await bearer(first)
    await verify(token)
    keys = []
    clock.advance(10 * MINUTE + 1)
    await expect(verify(token)).rejects.toMatchObject(unavailable)
    await expect(verify(token)).rejects.toMatchObject(unavailable)
    expect(keysAsked()).toBe(2)
  })
})

describe('tokens that are remembered', () => {
  it('are not verified again, and asked for who acts once', async () => {
    let calls = 0
    const user = ({ sub }: { sub?: string }): string => `${sub}-${++calls}`
    const verify = verifier({ claims: { user } })
    const token = await bearer(first)
    expect((await verify(token))?.identity.user).toBe('alice-1')
    expect((await verify(token))?.identity.user).toBe('alice-1')
    expect((await verify(await bearer(first, { sub: 'bob' })))?.identity.user).toBe('bob-2')
  })

  it('are as many as was said, those that were used last', async () => {
    let calls = 0
    const claims = { user: () => `call-${++calls}` }
    const verify = verifier({ claims, maxRemembered: 2 })
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((sub) => bearer(first, { sub })))
    for (const token of [a, b, a, c, a]) await verify(token)
    expect(calls).toBe(3)
    await verify(b)
    expect(calls).toBe(4)
    const forgetful = verifier({ claims, maxRemembered: 0 })
    for (const token of [a, a]) await forgetful(token)
    expect(calls).toBe(6)
  })

  it('are refused when they expire, or are not in force yet by a clock that is set back', async () => {
    const verify = verifier({ clockToleranceMs: 1000 })
    const token = await bearer(first, { seconds: 60 })
    await verify(token)
    clock.advance(60_999)
    expect(await verify(token)).not.toBeNull()
    clock.advance(1)
    await expect(verify(token)).rejects.toMatchObject(refused)

    const later = new SignJWT({ sub: 'alice', nbf: clock.now() / 1000 })
      .setIssuer(issuer)
      .setAudience(AUDIENCE)
      .setExpirationTime(clock.now() / 1000 + 60)
      .setProtectedHeader({ alg: 'EdDSA', kid: 'k1' })
    const notBefore = `Bearer ${await later.sign(first.privateKey)}`
    await verify(notBefore)
    clock.advance(-1000)
    expect(await verify(notBefore)).not.toBeNull()
    clock.advance(-1000)
    await expect(verify(notBefore)).rejects.toMatchObject(refused)
  })

  it('are refused when the key that verified them is gone', async () => {
    const verify = verifier()
    const token = await bearer(first)
    await verify(token)
    keys = [second.jwk]
    clock.advance(10 * MINUTE + 1)
    await expect(verify(token)).rejects.toMatchObject(refused)
  })

  it('cannot be changed by whoever reads them', async () => {
    const verify = verifier()
    const token = await bearer(first)
    const { claims, identity } = (await verify(token)) ?? expect.unreachable()
    expect(() => Object.assign(claims, { sub: 'mallory' })).toThrow(TypeError)
    expect(() => Object.assign(identity, { user: 'mallory' })).toThrow(TypeError)
  })
})

describe('several issuers', () => {
  it('are each judged by their own keys, audience and claims', async () => {
    const other = { issuer: 'https://b.example', audience: 'urn:b', jwks: { keys: [second.jwk] } }
    const verify = createTokenVerifier(
      [
        { issuer, audience: AUDIENCE },
        { ...other, claims: { user: (claims) => `b:${claims.sub}` } },
      ],
      { clock, logger },
    )
    const ofOther = async (key: TestKey, audience: string): Promise<string> => {
      const jwt = new SignJWT({ sub: 'alice' })
        .setIssuer(other.issuer)
        .setAudience(audience)
        .setExpirationTime(clock.now() / 1000 + 60)
        .setProtectedHeader({ alg: 'EdDSA', kid: key.jwk.kid as string })
      return `Bearer ${await jwt.sign(key.privateKey)}`
    }
    expect((await verify(await bearer(first)))?.identity.user).toBe('alice')
    expect((await verify(await ofOther(second, 'urn:b')))?.identity.user).toBe('b:alice')
    for (const token of [
      await ofOther(first, 'urn:b'),
      await ofOther(second, AUDIENCE),
      await bearer(second),
      await bearer(first, { iss: 'https://c.example' }),
      'Bearer x',
    ])
      await expect(verify(token)).rejects.toMatchObject(refused)
    expect(await verify(undefined)).toBeNull()
  })

  it('require a token where one of them does, and read each no further than it says', async () => {
    const other = { issuer: 'https://b.example', audience: 'urn:b', jwks: { keys: [second.jwk] } }
    const verify = createTokenVerifier(
      [
        { issuer, audience: AUDIENCE, maxTokenBytes: 100 },
        { ...other, required: true },
      ],
      { clock, logger },
    )
    await expect(verify(undefined)).rejects.toMatchObject(refused)
    await expect(verify(await bearer(first))).rejects.toThrow(/at most 100 bytes/)
  })
})
