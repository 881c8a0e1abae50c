import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { type JWK, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createKest } from '../src/config/kest.js'
import { jwksOf } from '../src/identity/jwks.js'
import { OIDCIdentity } from '../src/oidc/oidc-identity.js'
import { createOIDCKeySource } from '../src/oidc/oidc-key-source.js'
import { MockPolicyEngine } from '../src/testing/mock-engine.js'
import { RecordingLogger } from '../src/testing/recording-logger.js'
import { createTokenVerifier, type TokenVerifier } from '../src/tokens/token.js'
import {
  AUDIENCE,
  CLIENT,
  OPAQUE_AUDIENCE,
  type OpenIdProvider,
  PLANNER,
  startOpenIdProvider,
  tokenOf,
  tokenOfLogin,
} from './support/openid-provider.js'
import { answering, startServer } from './support/vouching-issuer.js'

const refused = { code: 'ERR_KEST_TOKEN', statusCode: 401 }

let provider: OpenIdProvider
let issuer: string
let verify: TokenVerifier

beforeAll(async () => {
  provider = await startOpenIdProvider()
  issuer = provider.issuer
  verify = createTokenVerifier({ issuer, audience: AUDIENCE, types: ['at+jwt'] })
})

afterAll(() => provider.close())

async function authorization(parameters: Record<string, string>): Promise<string> {
  return `Bearer ${await tokenOf(issuer, parameters)}`
}

describe('tokens of a real OpenID provider', () => {
  it('F-IC-05 says who the user, the agent and the task are', async () => {
    const token = await verify(await authorization({ grant_type: 'password', username: 'alice' }))
    expect(token?.identity).toEqual({ user: 'alice', agent: 'web', task: 'orders:read' })
    expect(token?.claims).toMatchObject({ iss: issuer, aud: AUDIENCE })
  })

  it('F-IC-05 says so of a user who logs in by a browser', async () => {
    const token = await verify(`Bearer ${await tokenOfLogin(issuer, 'orders:read orders:write')}`)
    expect(token?.identity).toEqual({ user: 'alice', agent: 'web', task: 'orders:read orders:write' })
  })

  it('F-IC-05 takes a client that acts for itself as user and agent', async () => {
    const token = await verify(
      await authorization({ grant_type: 'client_credentials', scope: 'orders:write' }),
    )
    expect(token?.identity).toEqual({ user: 'web', agent: 'web', task: 'orders:write' })
  })

  it('K-ACT reads who acts now, and who acted before, out of a token that was exchanged', async () => {
    const first = await tokenOf(issuer, { grant_type: 'password', username: 'alice', actor: 'assistant' })
    const exchanged = await tokenOf(
      issuer,
      { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: first },
      { client: PLANNER },
    )
    const token = await verify(`Bearer ${exchanged}`)
    expect(token?.identity).toEqual({ user: 'alice', agent: 'planner', task: 'orders:read' })
    expect(token?.priorActors).toEqual(['assistant'])
  })

  it('F-IC-05 refuses a token that is meant for another service', async () => {
    const elsewhere = createTokenVerifier({ issuer, audience: 'urn:payments' })
    const header = await authorization({ grant_type: 'password', username: 'alice' })
    await expect(elsewhere(header)).rejects.toMatchObject(refused)
  })

  it('F-IC-05 asks the provider about tokens that say nothing by themselves', async () => {
    const options = {
      issuer,
      audience: OPAQUE_AUDIENCE,
      introspection: { clientId: CLIENT.client_id, clientSecret: CLIENT.client_secret },
    }
    const parameters = { grant_type: 'client_credentials', scope: 'orders:read', resource: OPAQUE_AUDIENCE }
    const opaque = await tokenOf(issuer, parameters)
    expect(opaque).not.toContain('.')
    const asking = createTokenVerifier(options)
    const token = await asking(`Bearer ${opaque}`)
    expect(token?.identity).toMatchObject({ agent: 'web', task: 'orders:read' })
    expect(token?.validUntil).toBeGreaterThan(Date.now())
    await expect(asking('Bearer made-up')).rejects.toMatchObject(refused)
    const elsewhere = createTokenVerifier({ ...options, audience: 'urn:payments' })
    await expect(elsewhere(`Bearer ${opaque}`)).rejects.toMatchObject(refused)
  })

  it('F-IC-05 takes tokens that the provider bound to a key, with a proof of it', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = publicKey.export({ format: 'jwk' }) as JWK
    const proof = (htm: string, htu: string, ath?: string): Promise<string> =>
      new SignJWT({ htm, htu, jti: randomUUID(), ...(ath !== undefined && { ath }) })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .setIssuedAt()
        .sign(privateKey)
    const parameters = { grant_type: 'client_credentials', scope: 'orders:read' }
    const jwt = await tokenOf(issuer, parameters, {
      headers: { dpop: await proof('POST', `${issuer}/token`) },
    })

    const origins = 'https://orders.example.org'
    // The machine's own clock is the provider's, and may be read in another second.
    const clockToleranceMs = 60_000
    const bound = createTokenVerifier({ issuer, audience: AUDIENCE, clockToleranceMs, dpop: { origins } })
    const ath = createHash('sha256').update(jwt).digest('base64url')
    const request = { method: 'GET', url: '/orders', proof: await proof('GET', `${origins}/orders`, ath) }
    expect((await bound(`DPoP ${jwt}`, request))?.identity.agent).toBe('web')
    await expect(bound(`DPoP ${jwt}`, request)).rejects.toMatchObject(refused)
    await expect(verify(`Bearer ${jwt}`)).rejects.toMatchObject(refused)
  })

  it('F-IC-05 follows its keys when they rotate, and fails no request', async () => {
    const follower = createTokenVerifier({ issuer, audience: AUDIENCE })
    const asked = (): number => provider.asked.filter((path) => path === '/jwks').length
    const before = asked()
    for (let rotations = 1; rotations <= 3; rotations++) {
      const header = await authorization({ grant_type: 'password', username: 'alice' })
      const tokens = await Promise.all(Array.from({ length: 10 }, () => follower(header)))
      expect(tokens.every((token) => token?.identity.user === 'alice')).toBe(true)
      expect(asked() - before).toBe(rotations)
      provider.rotate()
    }
  })
})

describe('identities by tokens of a real OpenID provider', () => {
  it.each<[string, (audience: string) => Promise<string>]>([
    ['whose audience is the key', (resource) => ask({ resource })],
    ['that is bound to the key (DPoP)', () => ask({}, true)],
  ])('K-OIDCID a workload is let in by a token %s, through a rotation of the issuer', async (_, token) => {
    const logger = new RecordingLogger()
    const options = { engine: new MockPolicyEngine(), logger }
    const workload = await startServer((request, response) => answering(jwksOf(identity))(request, response))
    onTestFinished(() => workload.close())
    const principal = `${issuer}#${CLIENT.client_id}`
    const trust = createOIDCKeySource({ [principal]: workload.origin })
    const callee = createKest({
      identity: await identityOf((resource) => ask({ resource })),
      trust,
      ...options,
    })
    let identity = await identityOf(token)
    for (let rotations = 0; rotations < 3; rotations++) {
      const caller = createKest({ identity, ...options })
      const operation = await caller.begin({ operation: 'sell', policy: 'sell', origin: 'system' })
      const headers = await operation.run(() => caller.inject({}, 'https://callee.example.org'))
      const state = await callee.extract(headers)
      const { passport } = await callee.run(state, () => callee.begin({ operation: 'buy', policy: 'buy' }))
      expect(passport.entries).toHaveLength(2)
      provider.rotate()
      key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      identity = await identityOf(token)
    }
  })

  async function identityOf(token: (audience: string) => Promise<string>): Promise<OIDCIdentity> {
    const identity = await OIDCIdentity.create({ token, privateKey: key, logger: new RecordingLogger() })
    onTestFinished(() => identity.close())
    return identity
  }

  let key: KeyObject
  beforeEach(() => {
    key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  })

  async function ask(parameters: Record<string, string>, bound = false): Promise<string> {
    const jwk = createPublicKey(key).export({ format: 'jwk' }) as JWK
    const proof = (): Promise<string> =>
      new SignJWT({ htm: 'POST', htu: `${issuer}/token`, jti: randomUUID() })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .setIssuedAt()
        .sign(key)
    const headers = bound ? { dpop: await proof() } : {}
    return tokenOf(issuer, { grant_type: 'client_credentials', ...parameters }, { headers })
  }
})
