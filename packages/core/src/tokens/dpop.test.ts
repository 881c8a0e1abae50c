import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { MemoryReplayStore } from '../binding/replay-store.js'
import { FakeClock } from '../testing/fake-clock.js'
import type { DpopOptions } from './dpop-options.js'
import { createTokenVerifier, type TokenVerifier } from './token.js'
import type { TokenOptions } from './token-options.js'

const ISSUER = 'https://id.example.org'
const AUDIENCE = 'urn:orders'
const ORIGIN = 'https://api.example.org'
const request = { method: 'POST', url: '/orders/1?verbose=1' }
const refused = { code: 'ERR_KEST_TOKEN', statusCode: 401 }

interface TestKey {
  readonly privateKey: KeyObject
  readonly jwk: JWK
}

/** Throw-away keys of this test. */
function keyPair(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { privateKey, jwk: publicKey.export({ format: 'jwk' }) as JWK }
}

const issuer = keyPair()
const client = keyPair()
const thief = keyPair()

let clock: FakeClock
let verify: TokenVerifier

function verifier(dpop?: Partial<DpopOptions>, more: object = {}): TokenVerifier {
  const options = {
    jwks: issuer.jwk,
    issuer: ISSUER,
    audience: AUDIENCE,
    ...(dpop !== undefined && { dpop: { origins: ORIGIN, ...dpop } }),
    ...more,
  } as TokenOptions
  return createTokenVerifier(options, { clock })
}

beforeEach(() => {
  clock = new FakeClock(Date.UTC(2030, 0, 1))
  verify = verifier({})
})

async function token(cnf: unknown = undefined): Promise<string> {
  const bound = cnf === undefined ? { jkt: await calculateJwkThumbprint(client.jwk) } : cnf
  return new SignJWT({ sub: 'alice', ...(bound !== null && { cnf: bound as Record<string, unknown> }) })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime(clock.now() / 1000 + 3600)
    .sign(issuer.privateKey)
}

interface ProofParts {
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
  readonly key?: TestKey
}

async function proof(
  jwt: string,
  { claims = {}, header = {}, key = client }: ProofParts = {},
): Promise<string> {
  const payload = {
    htm: 'POST',
    htu: `${ORIGIN}/orders/1`,
    ath: createHash('sha256').update(jwt).digest('base64url'),
    iat: clock.now() / 1000,
    jti: randomUUID(),
    ...claims,
  }
  return new SignJWT(JSON.parse(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.jwk, ...header })
    .sign(key.privateKey)
}

describe('F-IC-05 a token that is bound to a key (DPoP)', () => {
  it('is taken with a proof by that key, for this request', async () => {
    const jwt = await token()
    for (const scheme of ['DPoP', 'dpop'])
      expect((await verify(`${scheme} ${jwt}`, { ...request, proof: await proof(jwt) }))?.identity.user).toBe(
        'alice',
      )
  })

  it.each<[string, ProofParts]>([
    ['for another method', { claims: { htm: 'GET' } }],
    ['for another path', { claims: { htu: `${ORIGIN}/orders/2` } }],
    ['for another origin', { claims: { htu: 'https://evil.example/orders/1' } }],
    ['for no URL', { claims: { htu: undefined } }],
    ['for another token', { claims: { ath: createHash('sha256').update('x').digest('base64url') } }],
    ['for no token', { claims: { ath: undefined } }],
    ['without a time', { claims: { iat: undefined } }],
    ['that is too old', { claims: { iat: Date.UTC(2030, 0, 1) / 1000 - 61 } }],
    ['that is ahead', { claims: { iat: Date.UTC(2030, 0, 1) / 1000 + 2 } }],
    ['without an id', { claims: { jti: undefined } }],
    ['with an id that is a number', { claims: { jti: 7 } }],
    ['with an id without end', { claims: { jti: 'a'.repeat(257) } }],
    ['of another type', { header: { typ: 'jwt' } }],
    ['by another key', { key: thief }],
    ['by another key, under the name of the right one', { key: thief, header: { jwk: client.jwk } }],
    ['without a key', { header: { jwk: undefined } }],
    ['with a private key', { header: { jwk: { ...client.jwk, d: 'AAAA' } } }],
    ['that is longer than any is', { claims: { pad: 'a'.repeat(4096) } }],
  ])('is refused with a proof %s', async (_, parts) => {
    const jwt = await token()
    const given = { ...request, proof: await proof(jwt, parts) }
    await expect(verify(`DPoP ${jwt}`, given)).rejects.toMatchObject(refused)
  })

  it.each<[string, string | string[] | undefined]>([
    ['no proof', undefined],
    ['rubbish', 'x.y.z'],
    ['two headers', ['a', 'b']],
  ])('is refused with %s', async (_, given) => {
    const jwt = await token()
    await expect(verify(`DPoP ${jwt}`, { ...request, proof: given })).rejects.toMatchObject(refused)
  })

  it('is refused with a proof that was used before, for as long as it could be', async () => {
    const jwt = await token()
    const given = { ...request, proof: await proof(jwt) }
    await verify(`DPoP ${jwt}`, given)
    await expect(verify(`DPoP ${jwt}`, given)).rejects.toThrow(/used before/)
    clock.advance(60_000)
    await expect(verify(`DPoP ${jwt}`, given)).rejects.toMatchObject(refused)
  })

  it('is refused at one of two instances with a proof that was used at the other, where they share a store', async () => {
    const replayStore = new MemoryReplayStore({ clock })
    const [one, other] = [verifier({ replayStore }), verifier({ replayStore })]
    const jwt = await token()
    const given = { ...request, proof: await proof(jwt) }
    await one(`DPoP ${jwt}`, given)
    await expect(other(`DPoP ${jwt}`, given)).rejects.toThrow(/used before/)
  })

  it('cannot be judged while the store does not say what was used', async () => {
    const replayStore = { setIfAbsent: () => Promise.reject(new Error('gone')) }
    const jwt = await token()
    const given = { ...request, proof: await proof(jwt) }
    await expect(verifier({ replayStore })(`DPoP ${jwt}`, given)).rejects.toMatchObject({
      code: 'ERR_KEST_CACHE',
    })
  })

  it('is never a bearer token, whether or not proofs are taken', async () => {
    const jwt = await token()
    for (const one of [verify, verifier({ required: false }), verifier()])
      await expect(one(`Bearer ${jwt}`)).rejects.toMatchObject(refused)
    await expect(verifier()(`Bearer ${await token({ jkt: 7 })}`)).rejects.toMatchObject(refused)
    await expect(verifier()(`Bearer ${await token('x')}`)).rejects.toMatchObject(refused)
  })

  it('is what is required, unless said otherwise', async () => {
    const unbound = await token(null)
    await expect(verify(`Bearer ${unbound}`)).rejects.toThrow(/a proof of the key is required/)
    expect(await verifier({ required: false })(`Bearer ${unbound}`)).not.toBeNull()
    const given = { ...request, proof: await proof(unbound) }
    await expect(verify(`DPoP ${unbound}`, given)).rejects.toThrow(/bound to no key/)
  })

  it('may be sent where a proxy stands, and by a request line with the whole URL', async () => {
    const behind = verifier({ origins: ['https://other.example', `${ORIGIN}/v1/`] })
    const jwt = await token()
    for (const url of ['/orders/1', 'http://internal:8080/orders/1?a#b']) {
      const given = {
        method: 'POST',
        url,
        proof: await proof(jwt, { claims: { htu: `${ORIGIN}/v1/orders/1` } }),
      }
      expect(await behind(`DPoP ${jwt}`, given)).not.toBeNull()
    }
  })

  it.each(['/../v2/pay', '/%2e%2E/v2/pay', '/a/.%2e/../../v2/pay?x', '/..\\v2\\pay'])(
    'is refused at %s, which is the path of a neighbour behind the same proxy',
    async (url) => {
      const behind = verifier({ origins: `${ORIGIN}/v1` })
      const jwt = await token()
      const given = { method: 'POST', url, proof: await proof(jwt, { claims: { htu: `${ORIGIN}/v2/pay` } }) }
      await expect(behind(`DPoP ${jwt}`, given)).rejects.toMatchObject(refused)
    },
  )

  it('needs to know what the request is', async () => {
    const jwt = await token()
    const proven = await proof(jwt)
    await expect(verify(`DPoP ${jwt}`, { proof: proven })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it.each<[string, unknown, RegExp]>([
    ['no origin', {}, /origins/],
    ['an origin that is none', { origins: 'api' }, /origins/],
    ['no origins', { origins: [] }, /origins/],
    ['an origin with a query', { origins: `${ORIGIN}?a` }, /origins/],
    ['an unknown option', { origins: ORIGIN, nonce: true }, /unknown option "nonce"/],
    ['a store that is none', { origins: ORIGIN, replayStore: {} }, /replayStore/],
    ['an age that is none', { origins: ORIGIN, maxAgeMs: 0 }, /maxAgeMs/],
  ])('is refused to be set up with %s', (_, dpop, because) => {
    expect(() => verifier(undefined, { dpop })).toThrow(because)
  })

  it('means nothing in a header of its own', () => {
    expect(() => verifier({}, { header: 'txn-token' })).toThrow(/means nothing beside header/)
  })
})
