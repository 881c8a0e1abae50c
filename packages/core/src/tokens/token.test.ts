import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type JWK, type JWTPayload, SignJWT } from 'jose'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { KestError, type KestErrorCode } from '../errors.js'
import type { Logger } from '../telemetry/logger.js'
import { createTokenVerifier, type TokenVerifier } from './token.js'
import type { TokenOptions, VerifiedTokenOptions } from './token-options.js'

const NOW = Date.UTC(2030, 0, 1)
const SECONDS = NOW / 1000
const ISSUER = 'https://id.example.org'
const AUDIENCE = 'https://orders.example.org'
const clock = { now: () => NOW }

/** Throw-away keys of this test. */
const issuerKey = keyPair('k1')
const strangerKey = keyPair('k1')

interface TestKey {
  readonly privateKey: KeyObject
  readonly jwk: JWK
}

function keyPair(kid: string): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid } as JWK }
}

function verifier(options: Partial<VerifiedTokenOptions> = {}): TokenVerifier {
  return createTokenVerifier(
    { jwks: { keys: [issuerKey.jwk] }, issuer: ISSUER, audience: AUDIENCE, ...options },
    { clock },
  )
}

interface TokenParts {
  readonly claims?: JWTPayload
  readonly header?: Record<string, unknown>
  readonly key?: KeyObject
}

async function bearer({
  claims = {},
  header = {},
  key = issuerKey.privateKey,
}: TokenParts = {}): Promise<string> {
  const payload = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: SECONDS, exp: SECONDS + 60, ...claims }
  const jwt = new SignJWT(JSON.parse(JSON.stringify(payload)))
  return `Bearer ${await jwt.setProtectedHeader({ alg: 'EdDSA', kid: 'k1', ...header }).sign(key)}`
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

async function refusal(verify: TokenVerifier, header: string | string[] | undefined): Promise<KestError> {
  const error = await verify(header).then(
    () => expect.unreachable('the token was accepted'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(KestError)
  return error as KestError
}

async function expectRefused(
  verify: TokenVerifier,
  header: string | string[] | undefined,
  because: RegExp,
): Promise<void> {
  const error = await refusal(verify, header)
  expect(error).toMatchObject({ code: 'ERR_KEST_TOKEN' satisfies KestErrorCode, statusCode: 401 })
  expect(error.message).toMatch(because)
}

describe('bearer tokens', () => {
  it('F-IC-05 maps sub, client_id and scope of a verified token', async () => {
    const token = await verifier()(
      await bearer({ claims: { client_id: 'web', scope: 'orders:read orders:write' } }),
    )
    expect(token?.identity).toEqual({ user: 'alice', agent: 'web', task: 'orders:read orders:write' })
    expect(token?.jwt.split('.')).toHaveLength(3)
  })

  it('takes absent, null and empty claims for not stated', async () => {
    const token = await verifier()(await bearer({ claims: { client_id: null, scope: '' } }))
    expect(token?.identity).toEqual({ user: 'alice', agent: null, task: null })
  })

  it('takes parts from other claims, from functions, or not at all', async () => {
    const verify = verifier({
      claims: { user: 'email', agent: (claims) => (claims['azp'] as string).toUpperCase(), task: null },
    })
    const token = await verify(
      await bearer({ claims: { email: 'alice@example.org', azp: 'web', scope: 'all' } }),
    )
    expect(token?.identity).toEqual({ user: 'alice@example.org', agent: 'WEB', task: null })
  })

  it('does not take a part from what every object inherits', async () => {
    const token = await verifier({ claims: { user: 'constructor', agent: '__proto__' } })(await bearer())
    expect(token?.identity).toEqual({ user: null, agent: null, task: null })
  })

  it.each([
    ['a claim that is a number', { sub: 7 }, {}, /claim "sub"/],
    ['a claim that is a list', { sub: ['a', 'b'] }, {}, /claim "sub"/],
    ['a list of scopes with a space in one', { scope: ['a b', 'c'] }, {}, /list of scopes/],
    ['a list of scopes with none in it', { scope: ['a', ''] }, {}, /list of scopes/],
    ['a list that is not of scopes', { scope: [['a']] }, {}, /list of scopes/],
    ['a claim with a lone surrogate', { client_id: 'a\ud800' }, {}, /claim "client_id"/],
  ])('refuses %s', async (_, claims, options, because) => {
    await expectRefused(verifier(options), await bearer({ claims: claims as never }), because)
  })

  it.each([
    ['scope', ['orders:write', 'orders:read'], 'orders:write orders:read'],
    ['scp', ['b', 'a', 'b'], 'b a b'],
    ['scope', [], null],
  ])('joins scopes that come as a list, in their order', async (claim, scopes, task) => {
    const token = await verifier({ claims: { task: claim } })(await bearer({ claims: { [claim]: scopes } }))
    expect(token?.identity.task).toBe(task)
  })

  it('refuses a token whose claims function fails or answers something else', async () => {
    const failing = verifier({
      claims: {
        user: () => {
          throw new Error('no such user')
        },
      },
    })
    await expectRefused(failing, await bearer(), /claims\.user: the function failed/)
    await expectRefused(verifier({ claims: { user: (() => 7) as never } }), await bearer(), /claims\.user/)
  })

  it.each(['Bearer', 'bearer', 'BEARER', 'BeArEr'])('accepts the scheme as %s', async (scheme) => {
    const header = (await bearer()).replace('Bearer', scheme)
    expect(await verifier()(header)).not.toBeNull()
  })

  it('answers null without a token where none is required', async () => {
    expect(await verifier()(undefined)).toBeNull()
    expect(await verifier()([])).toBeNull()
    expect(await verifier()('Basic YTpi')).toBeNull()
  })

  it('refuses a request without a token where one is required', async () => {
    await expectRefused(verifier({ required: true }), undefined, /one is required/)
    await expectRefused(verifier({ required: true }), 'Basic YTpi', /one is required/)
  })

  it('refuses several Authorization headers, as a list and joined', async () => {
    const header = await bearer()
    await expectRefused(verifier(), [header, header], /more than one Authorization/)
    await expectRefused(verifier(), `${header}, ${header}`, /one token/)
  })

  it.each(['Bearer', 'Bearer ', 'Bearer a b', 'Bearer ä', 'Bearer =', 'Bearer a=b', 'Bearer "a"'])(
    'refuses %j',
    async (header) => {
      await expectRefused(verifier(), header, /one token/)
    },
  )

  it.each(['Bearer a', 'Bearer a.b', 'Bearer a.b.c', 'Bearer ..', `Bearer ${encode({ alg: 'EdDSA' })}.e30.`])(
    'refuses %j, which is no JWT',
    async (header) => {
      await expectRefused(verifier(), header, /does not hold/)
    },
  )
})

describe('verification of tokens', () => {
  it('F-IC-05 refuses an expired token, and accepts it within the tolerance', async () => {
    const expired = await bearer({ claims: { exp: SECONDS - 5 } })
    await expectRefused(verifier(), expired, /"exp"/)
    expect(await verifier({ clockToleranceMs: 10_000 })(expired)).not.toBeNull()
  })

  it.each([
    ['without exp', { exp: undefined }, /"exp"/],
    ['not valid yet', { nbf: SECONDS + 5 }, /"nbf"/],
    ['of another issuer', { iss: 'https://id.example.org/' }, /"iss"/],
    ['without an issuer', { iss: undefined }, /"iss"/],
    ['for another audience', { aud: ['https://payments.example.org'] }, /"aud"/],
    ['without an audience', { aud: undefined }, /"aud"/],
  ])('F-IC-05 refuses a token %s', async (_, claims, because) => {
    await expectRefused(verifier(), await bearer({ claims: claims as never }), because)
  })

  it('NF-SEC-02 refuses alg none, in any case', async () => {
    const payload = encode({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', exp: SECONDS + 60 })
    for (const alg of ['none', 'None', 'NONE']) {
      await expectRefused(verifier(), `Bearer ${encode({ alg, kid: 'k1' })}.${payload}.`, /does not hold/)
    }
  })

  it('refuses HS256 keyed with the public key', async () => {
    const signed = `${encode({ alg: 'HS256', kid: 'k1' })}.${encode({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', exp: SECONDS + 60 })}`
    const publicKey = createPublicKey({ key: issuerKey.jwk as never, format: 'jwk' })
    for (const secret of [
      issuerKey.jwk.x as string,
      publicKey.export({ format: 'pem', type: 'spki' }) as string,
    ]) {
      const mac = createHmac('sha256', secret).update(signed).digest('base64url')
      await expectRefused(verifier(), `Bearer ${signed}.${mac}`, /alg/)
      await expectRefused(verifier({ jwks: publicKey }), `Bearer ${signed}.${mac}`, /alg/)
    }
  })

  it('refuses a token of a stranger who uses the same kid', async () => {
    await expectRefused(verifier(), await bearer({ key: strangerKey.privateKey }), /signature/)
  })

  it('never uses a key that the token brings along', async () => {
    const header = { jwk: strangerKey.jwk, jku: 'https://stranger.example/jwks' }
    await expectRefused(verifier(), await bearer({ key: strangerKey.privateKey, header }), /signature/)
  })

  it('refuses a token of which any character was changed', async () => {
    const token = (await bearer()).slice('Bearer '.length)
    const verify = verifier()
    for (let i = 0; i < token.length; i++) {
      const other = token[i] === 'A' ? 'B' : 'A'
      // The last character of 64 bytes holds four unused bits: a second spelling of the same signature.
      if (i === token.length - 1) continue
      await expectRefused(verify, `Bearer ${token.slice(0, i)}${other}${token.slice(i + 1)}`, /./)
    }
  })

  it('NF-SEC-02 refuses an oversized token before it looks at it', async () => {
    const header = await bearer({ claims: { scope: 'a'.repeat(8192) } })
    await expectRefused(verifier(), header, /at most 8192/)
    expect(await verifier({ maxTokenBytes: 16_384 })(header)).not.toBeNull()
  })

  it('K-LIMIT parses no header of a token that is longer than any has', async () => {
    const parse = vi.spyOn(JSON, 'parse')
    const token = `${Buffer.from(`{"alg":"RS256","z":"${'x'.repeat(3100)}"}`).toString('base64url')}.e30.AAAA`
    try {
      await expectRefused(verifier(), `Bearer ${token}`, /at most 4096/)
      expect(parse).not.toHaveBeenCalled()
    } finally {
      parse.mockRestore()
    }
  })

  it('reads 10 MB of rubbish in no time', async () => {
    const started = process.cpuUsage()
    await expectRefused(
      verifier({ maxTokenBytes: 20_000_000 }),
      `Bearer ${'='.repeat(10_000_000)}`,
      /one token/,
    )
    await expectRefused(
      verifier({ maxTokenBytes: 20_000_000 }),
      `Bearer${' '.repeat(10_000_000)}a,`,
      /one token/,
    )
    expect(process.cpuUsage(started).user).toBeLessThan(2_000_000)
  })

  it.each([
    [undefined, true],
    ['JWT', true],
    ['jwt', true],
    ['at+jwt', true],
    ['application/at+jwt', true],
    ['AT+JWT', true],
    ['kest-hop', false],
    ['JWS', false],
    ['dpop+jwt', false],
    ['logout+jwt', false],
  ])('with typ %j: accepted is %j', async (typ, accepted) => {
    const header = await bearer({ header: typ === undefined ? {} : { typ } })
    if (accepted) expect(await verifier()(header)).not.toBeNull()
    else await expectRefused(verifier(), header, /of type/)
  })

  it('accepts only the types that were asked for', async () => {
    const verify = verifier({ types: ['at+jwt'] })
    await expectRefused(verify, await bearer(), /of type undefined/)
    await expectRefused(verify, await bearer({ header: { typ: 'JWT' } }), /of type "JWT"/)
    expect(await verify(await bearer({ header: { typ: 'at+jwt' } }))).not.toBeNull()
  })

  it('accepts only the algorithms that were asked for', async () => {
    await expectRefused(verifier({ algorithms: ['ES256'] }), await bearer(), /alg/)
  })

  it('verifies with one key, as a JWK and as a KeyObject', async () => {
    const header = await bearer({ header: { kid: 'whatever' } })
    const publicKey = createPublicKey({ key: issuerKey.jwk as never, format: 'jwk' })
    for (const jwks of [issuerKey.jwk, publicKey]) {
      expect((await verifier({ jwks })(header))?.identity.user).toBe('alice')
      await expectRefused(verifier({ jwks }), await bearer({ key: strangerKey.privateKey }), /signature/)
    }
  })
})

describe('K-ACT delegation', () => {
  const delegated = { sub: 'alice', client_id: 'web', act: { sub: 'planner' } }

  it('K-ACT takes act.sub for the agent by default, over client_id', async () => {
    const token = await verifier()(await bearer({ claims: delegated }))
    expect(token).toMatchObject({ identity: { user: 'alice', agent: 'planner' }, priorActors: [] })
  })

  it('K-ACT lists who acted before, the latest first', async () => {
    const act = { sub: 'planner', act: { sub: 'assistant', act: { sub: 'web' } } }
    const token = await verifier()(await bearer({ claims: { act } }))
    expect(token).toMatchObject({ identity: { agent: 'planner' }, priorActors: ['assistant', 'web'] })
  })

  it('K-ACT reads reversed tokens when told so', async () => {
    const verify = verifier({ delegation: 'reversed' })
    const token = await verify(await bearer({ claims: { sub: 'planner', act: { sub: 'alice' } } }))
    expect(token?.identity).toMatchObject({ user: 'alice', agent: 'planner' })
    const plain = await verify(await bearer({ claims: { client_id: 'web' } }))
    expect(plain?.identity).toMatchObject({ user: 'alice', agent: 'web' })
  })

  it('K-ACT refuses a nested act in reversed tokens', async () => {
    const act = { sub: 'alice', act: { sub: 'bob' } }
    await expectRefused(verifier({ delegation: 'reversed' }), await bearer({ claims: { act } }), /nested/)
  })

  it('K-ACT leaves the last word to a function', async () => {
    const verify = verifier({ claims: { agent: (claims) => claims['client_id'] as string } })
    expect((await verify(await bearer({ claims: delegated })))?.identity.agent).toBe('web')
  })

  it.each([
    ['text', 'planner', /not an object/],
    ['null', null, /not an object/],
    ['a list', [{ sub: 'planner' }], /not an object/],
    ['an object without sub', {}, /names nobody/],
    ['an object with a number for sub', { sub: 7 }, /claim "sub"/],
    ['an object with an empty sub', { sub: '' }, /names nobody/],
  ])('K-ACT refuses an act that is %s', async (_, act, because) => {
    await expectRefused(verifier(), await bearer({ claims: { act } }), because)
  })

  it('K-ACT reads only so many actors', async () => {
    let act: object = { sub: 'first' }
    for (let i = 0; i < 16; i++) act = { sub: 'next', act }
    await expectRefused(verifier(), await bearer({ claims: { act } }), /16 deep/)
  })
})

describe('keys behind a URL', () => {
  let server: Server | undefined

  afterEach(async () => {
    if (server === undefined) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    server = undefined
  })

  async function serve(listener: RequestListener): Promise<string> {
    server = createServer(listener)
    // Clients close what is idle. Were it the server, it might be while one of them sends.
    server.keepAliveTimeout = 0
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  }

  async function expectUnavailable(verify: TokenVerifier): Promise<KestError> {
    const error = await refusal(verify, await bearer())
    expect(error).toMatchObject({ code: 'ERR_KEST_KEYS_UNAVAILABLE', statusCode: 503 })
    return error
  }

  it('fetches them once and follows a rotation when a kid is unknown', async () => {
    const next = keyPair('k2')
    let keys = [issuerKey.jwk]
    let fetched = 0
    const jwks = await serve((_, response) => {
      fetched++
      response.end(JSON.stringify({ keys }))
    })
    const verify = verifier({ jwks, jwksCooldownMs: 0 })
    await verify(await bearer())
    await verify(await bearer())
    expect(fetched).toBe(1)

    keys = [next.jwk]
    const token = await verify(await bearer({ key: next.privateKey, header: { kid: 'k2' } }))
    expect(token?.identity.user).toBe('alice')
    expect(fetched).toBe(2)
    await expectRefused(verify, await bearer(), /no applicable key/)
  })

  it('does not fetch again for every unknown kid', async () => {
    let fetched = 0
    const jwks = await serve((_, response) => {
      fetched++
      response.end(JSON.stringify({ keys: [issuerKey.jwk] }))
    })
    const verify = verifier({ jwks })
    for (let i = 0; i < 5; i++) {
      await expectRefused(verify, await bearer({ header: { kid: `unknown-${i}` } }), /no applicable key/)
    }
    expect(fetched).toBe(1)
  })

  it('NF-SEC-03 cannot judge a token while the issuer is not there', async () => {
    const jwks = await serve(() => {})
    server?.closeAllConnections()
    server?.close()
    const error = await expectUnavailable(verifier({ jwks }))
    expect(error.cause).toBeInstanceOf(Error)
  })

  it('NF-SEC-03 cannot judge a token while the issuer does not answer', async () => {
    await expectUnavailable(verifier({ jwks: await serve(() => {}), jwksTimeoutMs: 50 }))
  })

  it.each<[string, RequestListener]>([
    ['an error', (_, response) => response.writeHead(500).end('{"keys":[]}')],
    [
      'a redirect',
      (_, response) => response.writeHead(302, { location: 'https://stranger.example/jwks' }).end(),
    ],
    ['no JSON', (_, response) => response.end('<html>')],
    ['no key set', (_, response) => response.end('{"keys":7}')],
    [
      'more than it may weigh',
      (_, response) => response.end(JSON.stringify({ keys: [], pad: 'a'.repeat(300_000) })),
    ],
  ])('NF-SEC-03 cannot judge a token while the issuer answers %s', async (_, listener) => {
    await expectUnavailable(verifier({ jwks: await serve(listener) }))
  })
})

describe('options of the token verifier', () => {
  const good = { jwks: { keys: [issuerKey.jwk] }, issuer: ISSUER, audience: AUDIENCE }

  it.each<[string, unknown, RegExp]>([
    ['none', undefined, /an object of options/],
    ['an unknown one', { ...good, issuers: [ISSUER] }, /unknown option "issuers"/],
    ['keys that are null', { ...good, jwks: null }, /token\.jwks/],
    ['an issuer without keys that is no URL', { issuer: 'id', audience: AUDIENCE }, /https URL/],
    [
      'an issuer without keys at an http URL',
      { issuer: 'http://id.example.org', audience: AUDIENCE },
      /https URL/,
    ],
    ['an issuer with a query', { issuer: `${ISSUER}/?a`, audience: AUDIENCE }, /neither query/],
    [
      'two issuers without keys',
      { issuer: [ISSUER, 'https://b.example'], audience: AUDIENCE },
      /list the others/,
    ],
    ['keys that serve for less than they are kept', { ...good, jwksMaxStaleMs: 1 }, /jwksMaxStaleMs/],
    ['a fetch that is none', { ...good, fetch: 7 }, /token\.fetch/],
    ['an empty list', [], /an empty list/],
    ['one issuer in two items of a list', [good, { ...good, audience: 'urn:b' }], /listed twice/],
    ['insecureDecode in a list', [good, { insecureDecode: true }], /means nothing in a list/],
    ['an empty set of keys', { ...good, jwks: { keys: [] } }, /no keys/],
    ['keys that are no JWKs', { ...good, jwks: { keys: ['a'] } }, /not a JWK/],
    ['keys that are a number', { ...good, jwks: 7 }, /token\.jwks/],
    ['a secret key', { ...good, jwks: { kty: 'oct', k: 'AAAA' } }, /not OKP, EC or RSA/],
    ['a private JWK', { ...good, jwks: { keys: [{ ...issuerKey.jwk, d: 'AAAA' }] } }, /private/],
    ['a private KeyObject', { ...good, jwks: issuerKey.privateKey }, /got a private one/],
    ['keys over http', { ...good, jwks: 'http://id.example.org/jwks' }, /https/],
    [
      'keys over http from a host that looks local',
      { ...good, jwks: 'http://127.0.0.1.example/jwks' },
      /https/,
    ],
    ['keys from a file', { ...good, jwks: 'file:///jwks' }, /https/],
    ['a URL with a password', { ...good, jwks: 'https://a:b@id.example.org/jwks' }, /credentials/],
    ['no issuer', { ...good, issuer: undefined }, /token\.issuer/],
    ['an empty issuer', { ...good, issuer: '' }, /token\.issuer/],
    ['no audience', { ...good, audience: undefined }, /token\.audience/],
    ['an empty list of audiences', { ...good, audience: [] }, /token\.audience/],
    ['alg none', { ...good, algorithms: ['none'] }, /"none"/],
    ['a symmetric algorithm', { ...good, algorithms: ['ES256', 'HS256'] }, /"HS256"/],
    ['no algorithm', { ...good, algorithms: [] }, /token\.algorithms/],
    ['an unknown delegation', { ...good, delegation: 'forward' }, /token\.delegation/],
    ['an unknown part', { ...good, claims: { role: 'role' } }, /unknown part "role"/],
    ['a mapping that is none', { ...good, claims: { user: 7 } }, /claims\.user/],
    ['a negative tolerance', { ...good, clockToleranceMs: -1 }, /clockToleranceMs/],
    ['a limit that is none', { ...good, maxTokenBytes: Number.NaN }, /maxTokenBytes/],
    ['verification and insecureDecode', { ...good, insecureDecode: true }, /token\.jwks: means nothing/],
  ])('refuses %s', (_, options, because) => {
    expect(() => createTokenVerifier(options as TokenOptions)).toThrow(because)
    expect(() => createTokenVerifier(options as TokenOptions)).toThrow(KestError)
  })

  it('are checked by the compiler too', () => {
    // @ts-expect-error issuer and audience are required
    expect(() => createTokenVerifier({ jwks: { keys: [issuerKey.jwk] } })).toThrow(/issuer/)
    // @ts-expect-error symmetric algorithms are none of ours
    expect(() => createTokenVerifier({ ...good, algorithms: ['HS256'] })).toThrow(/HS256/)
  })
})

describe('insecureDecode', () => {
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() } satisfies Logger

  afterEach(() => {
    vi.unstubAllEnvs()
    vi.clearAllMocks()
  })

  it('reads a token of anybody, and says so loudly', async () => {
    const verify = createTokenVerifier({ insecureDecode: true }, { logger })
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
      expect.anything(),
      expect.stringContaining('INSECURE'),
    )
    const token = await verify(await bearer({ key: strangerKey.privateKey, claims: { exp: 1 } }))
    expect(token?.identity.user).toBe('alice')
    await expectRefused(verify, 'Bearer a.b.c', /not a JWT/)
  })

  it('NF-SEC-04 is refused in production', () => {
    vi.stubEnv('NODE_ENV', 'production')
    expect(() => createTokenVerifier({ insecureDecode: true }, { logger })).toThrow(/NODE_ENV=production/)
  })
})
