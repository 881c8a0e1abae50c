import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { failure, verdict } from '../../tests/support/signed.js'
import {
  answering,
  startServer,
  type TestServer,
  VouchingIssuer,
} from '../../tests/support/vouching-issuer.js'
import { createKest } from '../config/kest.js'
import { jwksOf } from '../identity/jwks.js'
import { createKeyIdentity, type KeyIdentity } from '../identity/key-identity.js'
import type { KeySource } from '../identity/key-source.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { Passport } from '../passport/passport.js'
import { SignatureCache } from '../passport/signature-cache.js'
import { verifyPassport } from '../passport/verify.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { keyAudience } from './key-audience.js'
import { OIDCIdentity } from './oidc-identity.js'
import { createOIDCKeySource, type OIDCKeyOptions, type OIDCPrincipals } from './oidc-key-source.js'

const MINUTE = 60_000
const patient = { timeout: 30_000, interval: 5 }

let clock: FakeClock
let logger: RecordingLogger
let issuer: VouchingIssuer
let workload: TestServer
let orders: string

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2030, 0, 1))
  logger = new RecordingLogger()
  issuer = await VouchingIssuer.start(clock)
  workload = await startServer(answering({ keys: [] }))
  orders = `${issuer.url}#orders`
})

afterEach(async () => {
  await workload.close()
  await issuer.close()
})

function source(
  options: OIDCKeyOptions = {},
  principals: OIDCPrincipals = { [orders]: workload.origin },
): KeySource {
  return createOIDCKeySource(principals, { clock, logger, ...options })
}

async function replica(changes: Record<string, unknown> = {}): Promise<OIDCIdentity> {
  const token = (audience: string) => issuer.token(audience, changes)
  const identity = await OIDCIdentity.create({ token, clock, logger })
  onTestFinished(() => identity.close())
  return identity
}

/** As an adapter does: what is published is what is there when it is asked for. */
function publish(...identities: readonly OIDCIdentity[]): void {
  workload.answer = (request, response) => answering(jwksOf(...identities))(request, response)
}

async function signed(identity: IdentityProvider): Promise<Passport> {
  const kest = createKest({ identity, engine: new MockPolicyEngine(), clock, logger })
  return (await kest.begin({ operation: 'read', policy: 'read', origin: 'system' })).passport
}

async function kids(from: KeySource, kid: string | undefined, time = clock.now(), principal = orders) {
  const header = { alg: 'EdDSA' as const, typ: 'JWS', ...(kid !== undefined && { kid }) }
  return (await from.find({ principal, header, time })).map((key) => key.kid)
}

const kidOf = (identity: OIDCIdentity): string => identity.getPublicJwk().kid
const unknown = { code: 'ERR_KEST_KEY_UNKNOWN' }
const unavailable = { code: 'ERR_KEST_KEYS_UNAVAILABLE' }

describe('createOIDCKeySource', () => {
  it('K-OIDCID verifies what a workload signed with the key that its issuer vouches for', async () => {
    const identity = await replica()
    publish(identity)
    const { entries } = await verifyPassport(await signed(identity), { trust: [source()] })
    expect(entries[0]?.principal).toBe(orders)
    expect(issuer.server.asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  it('K-OIDCID verifies by a JWKS that the operator gives, without asking the issuer', async () => {
    const identity = await replica()
    publish(identity)
    const issuers = { [issuer.url]: { jwks: { keys: [issuer.publicJwk] } as never } }
    expect(await kids(source({ issuers }), kidOf(identity))).toEqual([kidOf(identity)])
    expect(issuer.server.asked).toEqual([])
  })

  it('K-OIDCID gives a key for the principal of its token, and for no other at the same URL', async () => {
    const [mine, other] = [await replica(), await replica({ sub: 'payments' })]
    publish(mine, other)
    const payments = `${issuer.url}#payments`
    const from = source({}, { [orders]: workload.origin, [payments]: workload.origin })
    expect(await kids(from, kidOf(mine))).toEqual([kidOf(mine)])
    expect(await kids(from, kidOf(other), clock.now(), payments)).toEqual([kidOf(other)])
    expect(await failure(() => kids(from, kidOf(other)))).toMatchObject(unknown)
    expect(await failure(() => kids(from, kidOf(mine), clock.now(), payments))).toMatchObject(unknown)
    expect(logger.records).toEqual([])
    expect(await kids(from, kidOf(mine), clock.now(), `${issuer.url}#nobody`)).toEqual([])
    expect(from.knows?.(payments)).toBe(true)
    expect(from.knows?.(`${issuer.url}#nobody`)).toBe(false)
  })

  it('K-OIDCID refuses an entry of a principal whose labels name another subject', async () => {
    const identity = await replica()
    publish(identity)
    const signer = await identity.current()
    const lying: KeyIdentity = {
      ...createKeyIdentity(orders, generateKeyPairSync('ed25519').privateKey),
      current: () => ({ ...signer, subject: { iss: issuer.url, sub: 'payments' } }),
    }
    const passport = signed(lying).then((it) => verifyPassport(it, { trust: [source()] }))
    expect(await failure(passport)).toMatchObject({ code: 'ERR_KEST_ENTRY_SCHEMA' })
  })

  it('K-OIDCID takes entries that are dated within the validity of the token alone', async () => {
    const begin = clock.now()
    const identity = await replica({ nbf: begin / 1000 - 10 })
    publish(identity)
    const from = source()
    for (const time of [begin - 10_000, begin, begin + 10 * MINUTE - 1])
      expect(await kids(from, kidOf(identity), time)).toEqual([kidOf(identity)])
    for (const time of [0, begin - 10_001, begin + 10 * MINUTE])
      expect(await failure(() => kids(from, kidOf(identity), time))).toMatchObject(unknown)
  })

  it('K-OIDCID knows no key for an entry that names none', async () => {
    const identity = await replica()
    publish(identity)
    expect(await failure(() => kids(source(), undefined))).toMatchObject(unknown)
  })

  const forged = async (claims: Record<string, unknown>, alg = 'ES256') => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = alg === 'HS256' ? Buffer.from(JSON.stringify(issuer.publicJwk)) : privateKey
    const { kid } = issuer.publicJwk as { kid: string }
    const now = clock.now() / 1000
    return new SignJWT({ iss: issuer.url, sub: 'orders', iat: now, exp: now + 600, ...claims })
      .setProtectedHeader({ alg, kid })
      .sign(key)
  }
  it.each<[string, (audience: string) => unknown]>([
    ['no token', () => undefined],
    ['an empty list', () => []],
    ['a token that is no list', (aud) => issuer.token(aud)],
    ['what is no token', () => ['a.b.c', 'x']],
    ['what is no text', () => [1, null]],
    ['an endless text', () => ['a'.repeat(10_000)]],
    ['a token for another key', async () => [await issuer.token(`urn:kest:key:${'A'.repeat(43)}`)]],
    ['a token for a service', async () => [await issuer.token('https://vault.example.org')]],
    ['a token that others take, too', async (aud) => [await issuer.token([aud, 'vault'])]],
    ['a token that has expired', async (aud) => [await issuer.token(aud, { iat: 1, exp: 2 })]],
    [
      'a token of another issuer',
      async (aud) => [await issuer.token(aud, { iss: 'https://id.example.org' })],
    ],
    ['a token of another subject', async (aud) => [await issuer.token(aud, { sub: 'payments' })]],
    ['a token that somebody else signed', async (aud) => [await forged({ aud })]],
    [
      'a token that is signed with the public key as a secret',
      async (aud) => [await forged({ aud }, 'HS256')],
    ],
    ['a token whose signature is left out', async (aud) => [(await issuer.token(aud)).replace(/[^.]*$/, '')]],
    [
      'a token of alg none',
      async (aud) => {
        const [, payload] = (await issuer.token(aud)).split('.')
        return [`${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`]
      },
    ],
    [
      'too many tokens',
      async (aud) => Array.from({ length: 5 }, () => 'a.b.c').concat(await issuer.token(aud)),
    ],
  ])('K-OIDCID does not use a key beside which there is %s', async (_, vouchedBy) => {
    const key = createKeyIdentity(orders, generateKeyPairSync('ed25519').privateKey)
    const jwk = key.getPublicJwk()
    const tokens = await vouchedBy(keyAudience(jwk))
    workload.answer = answering({ keys: [{ ...jwk, vouched_by: tokens }] })
    const error = await failure(() => kids(source(), jwk.kid))
    expect(error).toMatchObject(unknown)
    for (const token of Array.isArray(tokens) ? tokens.filter((it) => String(it).length > 20) : [])
      expect(`${JSON.stringify(logger.records)} ${error.stack}`).not.toContain(token)
  })

  it('K-OIDCID passes over what is no key, beside keys that are', async () => {
    const identity = await replica()
    const jwks = [null, 1, [], {}, { kty: 'oct', k: 'AA' }, { kty: 'OKP', vouched_by: ['a.b.c'] }]
    workload.answer = answering({ keys: [...jwks, ...jwksOf(identity).keys] })
    expect(await kids(source(), kidOf(identity))).toEqual([kidOf(identity)])
  })

  it('K-OIDCID believes the thumbprint and not the kid that is published', async () => {
    const identity = await replica()
    const victim = await replica()
    workload.answer = answering({ keys: [{ ...identity.getPublicJwk(), kid: kidOf(victim) }] })
    const from = source()
    expect(await failure(() => kids(from, kidOf(victim)))).toMatchObject(unknown)
    expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
  })

  it('K-OIDCID looks at 64 keys of a set, and of one that may be among the others nothing can be said', async () => {
    const [first, last] = [await replica(), await replica()]
    const junk = Array.from({ length: 63 }, () => ({ kty: 'OKP' }))
    workload.answer = answering({ keys: [...jwksOf(first).keys, ...junk, ...jwksOf(last).keys] })
    const from = source()
    expect(await failure(() => kids(from, kidOf(last)))).toMatchObject({
      ...unavailable,
      cause: { message: `at ${workload.origin}/ are more than 64 keys: 1 were not looked at` },
    })
    expect(logger.records).toMatchObject([{ details: { count: 63, unread: 1 } }, { level: 'warn' }])
    expect(await kids(from, kidOf(first))).toEqual([kidOf(first)])
  })

  it.each<[string, () => TestServer['answer']]>([
    ['is too large', () => answering({ keys: [], filler: 'x'.repeat(70_000) })],
    ['is no JWK Set', () => answering([])],
    ['is an error', () => answering({ keys: [] }, 500)],
    ['has no end', () => endless],
    [
      'redirects',
      () => (request, response) => {
        if (request.url === '/elsewhere') answering(jwks)(request, response)
        else response.writeHead(302, { location: '/elsewhere' }).end()
      },
    ],
  ])('K-OIDCID can say nothing of keys when what is published %s', async (_, answer) => {
    const identity = await replica()
    jwks = jwksOf(identity)
    workload.answer = answer()
    expect(await failure(() => kids(source(), kidOf(identity)))).toMatchObject(unavailable)
    expect(workload.asked).toEqual(['/'])
  })
  let jwks: unknown
  const endless: TestServer['answer'] = (_, response) => {
    const more = (): void => {
      while (response.write(' '.repeat(16_384)));
    }
    response.writeHead(200).on('drain', more)
    more()
  }

  it.each<[string, TestServer['answer']]>([
    ['does not come', () => {}],
    ['never ends', (_, response) => void response.writeHead(200).write('{')],
  ])('K-OIDCID waits no longer than it was told for an answer that %s', async (_, answer) => {
    const identity = await replica()
    workload.answer = answer
    expect(await failure(() => kids(source({ timeoutMs: 50 }), kidOf(identity)))).toMatchObject(unavailable)
  })

  it('K-OIDCID asks once for many who wait, and not again so soon after it was in vain', async () => {
    const identity = await replica()
    publish(identity)
    const from = source()
    const sought = Array.from({ length: 1000 }, (_, i) => failure(() => kids(from, `made-up-${i}`)))
    const codes = (await Promise.all(sought)).map(({ code }) => code)
    expect(new Set(codes)).toEqual(new Set(['ERR_KEST_KEY_UNKNOWN']))
    expect(workload.asked).toHaveLength(1)
    clock.advance(4999)
    expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
    expect(await failure(() => kids(from, 'made-up'))).toMatchObject(unknown)
    expect(workload.asked).toHaveLength(1)
    clock.advance(1)
    for (let i = 0; i < 20; i++)
      expect(await failure(() => kids(from, `made-up-${i}`))).toMatchObject(unknown)
    expect(workload.asked).toHaveLength(9)
  })

  it('K-OIDCID finds a new key while another is sought in vain again and again', async () => {
    const [first, second] = [await replica(), await replica()]
    publish(first)
    const from = source()
    for (let i = 0; i < 20; i++) expect(await failure(() => kids(from, 'made-up'))).toMatchObject(unknown)
    expect(workload.asked).toHaveLength(1)
    publish(second)
    expect(await kids(from, kidOf(second))).toEqual([kidOf(second)])
  })

  it('K-OIDCID fails no request when the token, and then the key, is replaced', async () => {
    let identity = await replica()
    const from = source()
    for (let round = 0; round < 20; round++) {
      publish(identity)
      const { entries } = await verifyPassport(await signed(identity), { trust: [from] })
      expect(entries[0]?.principal).toBe(orders)
      clock.advance(9 * MINUTE)
      const last = await identity.current()
      expect(await kids(from, last.header.kid)).toEqual([last.header.kid])
      identity = await replica()
    }
  })

  it('K-OIDCID learns a later token of the same key when an entry is dated after the end of the one it knows', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const { kid, ...jwk } = createKeyIdentity(orders, privateKey).getPublicJwk()
    const serve = (...tokens: string[]) => {
      workload.answer = answering({ keys: [{ ...jwk, kid, vouched_by: tokens }] })
    }
    serve(await issuer.token(keyAudience(privateKey)))
    const from = source()
    expect(await kids(from, kid)).toEqual([kid])
    clock.advance(10 * MINUTE)
    serve(await issuer.token(keyAudience(privateKey)))
    expect(await kids(from, kid)).toEqual([kid])
    expect(await kids(from, kid, clock.now() - 1)).toEqual([kid])
    expect(workload.asked).toHaveLength(2)
  })

  it('K-OIDCID adds up the keys of replicas behind one URL that know nothing of each other', async () => {
    const replicas = [await replica(), await replica()]
    let turn = 0
    workload.answer = (request, response) =>
      answering(jwksOf(replicas[turn++ % 2] as OIDCIdentity))(request, response)
    const from = source()
    for (const identity of [...replicas, ...replicas])
      expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
    expect(workload.asked).toHaveLength(2)
  })

  it('K-OIDCID takes keys from several URLs, of which one is down', async () => {
    const identity = await replica()
    publish(identity)
    const down = await startServer(answering({}, 503))
    onTestFinished(() => down.close())
    const from = source({}, { [orders]: [down.origin, workload.origin] })
    expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
    expect(await failure(() => kids(from, 'made-up'))).toMatchObject(unavailable)
  })

  it('K-OIDCID goes on with keys that were proven while issuer and URL are down, until their tokens end', async () => {
    const identity = await replica()
    publish(identity)
    const from = source({ maxAgeMs: MINUTE })
    expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
    const { generation } = from
    const [kid, later] = [kidOf(identity), kidOf(await replica())]
    issuer.server.answer = answering({}, 503)
    workload.answer = answering({}, 503)
    const end = clock.now() + 10 * MINUTE
    while (clock.now() < end) {
      expect(await kids(from, kid)).toEqual([kid])
      clock.advance(MINUTE)
    }
    expect(await failure(() => kids(from, kid))).toMatchObject(unavailable)
    expect(await failure(() => kids(from, later))).toMatchObject(unavailable)
    expect(await kids(from, kid, end - 1)).toEqual([kid])
    expect(from.generation).toBe(generation)
  })

  it('K-OIDCID says that it cannot say when the issuer is down and the key is new', async () => {
    const identity = await replica()
    publish(identity)
    issuer.server.answer = answering({}, 503)
    const from = source()
    expect(await failure(() => kids(from, kidOf(identity)))).toMatchObject(unavailable)
  })

  it('K-OIDCID forgets a key some time after the end of its token, however the clock is set', async () => {
    const identity = await replica()
    publish(identity)
    const from = source({ keepMs: MINUTE })
    const cache = new SignatureCache()
    const passport = await signed(identity)
    const verify = () => verifyPassport(passport, { trust: [from], cache })
    await verify()
    workload.answer = answering({ keys: [] })
    for (const milliseconds of [8 * MINUTE, -6 * MINUTE, 3 * MINUTE - 1]) {
      clock.advance(milliseconds)
      await verify()
    }
    const { generation } = from
    clock.advance(1)
    expect(await verdict(verify)).toMatchObject({ code: 'ERR_KEST_KEY_UNKNOWN' })
    expect(from.generation).toBeGreaterThan(generation)
  })

  it('K-OIDCID drops a key when the issuer no longer has the one that its token was signed with', async () => {
    const identity = await replica()
    publish(identity)
    const issuers = { [issuer.url]: { jwksMaxAgeMs: MINUTE, jwksCooldownMs: 1000 } }
    const from = source({ maxAgeMs: MINUTE, issuers })
    expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
    const { generation } = from
    issuer.rotate()
    clock.advance(2 * MINUTE)
    // The first to come still has it, and has it looked at.
    expect(await kids(from, kidOf(identity))).toEqual([kidOf(identity)])
    await vi.waitFor(() => expect(from.generation).toBeGreaterThan(generation), patient)
    expect(await failure(() => kids(from, kidOf(identity)))).toMatchObject(unknown)
  })

  it.each<[string, unknown, unknown, string]>([
    ['no principals', null, {}, 'expected principals'],
    ['a principal of no issuer', { 'spiffe://a.b/c': 'https://a.b' }, {}, '<iss>#<sub>'],
    ['a principal without subject', { 'https://a.b#': 'https://a.b' }, {}, '<iss>#<sub>'],
    ['an issuer that is not https', { 'http://a.b#c': 'https://a.b' }, {}, 'https URL'],
    ['a URL that is not https', { 'https://a.b#c': 'http://a.b' }, {}, 'https URL'],
    ['no URL', { 'https://a.b#c': [] }, {}, 'one to 16 URLs'],
    ['an unknown option', {}, { maxAge: 1 }, 'unknown option "maxAge"'],
    ['no time', {}, { cooldownMs: 0 }, 'cooldownMs'],
    ['a fetch that is none', {}, { fetch: 1 }, 'fetch'],
    ['issuers of which none would be read', {}, { issuers: new Map([['https://a.b', {}]]) }, 'issuers'],
    [
      'nothing of an issuer',
      { 'https://a.b#c': 'https://a.b' },
      { issuers: { 'https://a.b': undefined } },
      'expected an object of options, got undefined',
    ],
    ['an issuer of no principal', {}, { issuers: { 'https://a.b': {} } }, 'issuer of no principal'],
    [
      'an unknown option of an issuer',
      { 'https://a.b#c': 'https://a.b' },
      { issuers: { 'https://a.b': { audience: 'x' } } },
      'unknown option "audience"',
    ],
  ])('refuses %s in its options', async (_, principals, options, message) => {
    const error = await failure(() =>
      createOIDCKeySource(principals as OIDCPrincipals, options as OIDCKeyOptions),
    )
    expect(error).toMatchObject({ code: 'ERR_KEST_CONFIG', message: expect.stringContaining(message) })
  })
})
