import { inspect } from 'node:util'
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority } from '../../tests/support/material.js'
import type { JwtBundleSource } from '../bundle/bundle-source.js'
import { JwtBundle } from '../bundle/jwt-bundle.js'
import { type Authority, issueJwtSvid } from '../dev-authority/authority.js'
import { SpiffeId } from '../id/spiffe-id.js'
import { parseJwtSvid, verifyJwtSvid } from './jwt-svid.js'

const ID = SpiffeId.parse('spiffe://example.org/hop1')
const AUDIENCE = 'spiffe://example.org/hop2'
let authority: Authority
let bundles: JwtBundleSource
let foreign: Authority

beforeAll(async () => {
  authority = await makeAuthority()
  foreign = await makeAuthority()
  bundles = sourceOf(new Map([[authority.kid, authority.jwtKeys.publicKey]]))
})

function sourceOf(keys: JwtBundle['keys']): JwtBundleSource {
  const bundle = new JwtBundle('example.org', keys)
  return { getJwtBundle: (name) => (name === 'example.org' ? bundle : undefined) }
}

function sign(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
  by: Authority = authority,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ sub: ID.toString(), aud: AUDIENCE, exp: now + 60, ...claims } as JWTPayload)
    .setProtectedHeader({ alg: 'ES256', kid: by.kid, ...header } as JWTHeaderParameters)
    .sign(by.jwtKeys.privateKey)
}

const refused = expect.objectContaining({ code: 'ERR_SPIFFE_JWT_SVID' })

describe('a JWT-SVID', () => {
  it('verifies by the bundle of its subject’s trust domain', async () => {
    const token = await issueJwtSvid(authority, ID, [AUDIENCE, 'other'], 60_000)
    const svid = await verifyJwtSvid(token, bundles, { audience: AUDIENCE })
    expect(svid.id.toString()).toBe(ID.toString())
    expect(svid.audience).toEqual([AUDIENCE, 'other'])
    expect(svid.expiresAt).toBeGreaterThan(Date.now())
  })

  it('does not show its token, however it is printed', async () => {
    const token = await issueJwtSvid(authority, ID, [AUDIENCE], 60_000)
    const svid = parseJwtSvid(token, { audience: AUDIENCE })
    expect(svid.token).toBe(token)
    const [, , signature = ''] = token.split('.')
    expect(inspect(svid, { depth: 9, showHidden: true }) + JSON.stringify(svid)).not.toContain(signature)
  })

  it.each<[string, () => string | Promise<string>]>([
    ['text that is no token', () => 'a.b.c'],
    ['too much text', () => 'a'.repeat(16_385)],
    ['no subject', () => sign({ sub: undefined })],
    ['a subject that is no SPIFFE ID', () => sign({ sub: 'hop1' })],
    ['no audience', () => sign({ aud: undefined })],
    ['an empty audience', () => sign({ aud: [] })],
    ['another audience', () => sign({ aud: 'spiffe://example.org/hop3' })],
    ['no expiry', () => sign({ exp: undefined })],
    ['an expiry that is past', () => sign({ exp: Math.floor(Date.now() / 1000) - 1 })],
    ['a time before which it does not count', () => sign({ nbf: Math.floor(Date.now() / 1000) + 60 })],
    ['another typ', () => sign({}, { typ: 'at+jwt' })],
    ['an unknown kid', () => sign({}, { kid: 'unknown' })],
    ['the signature of another authority', () => sign({}, { kid: authority.kid }, foreign)],
    ['no signature', async () => `${(await sign({})).split('.').slice(0, 2).join('.')}.`],
    [
      'the algorithm none',
      () =>
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ sub: ID, aud: AUDIENCE, exp: 9_999_999_999 })).toString('base64url')}.`,
    ],
    [
      'a symmetric algorithm',
      () =>
        new SignJWT({ sub: ID.toString(), aud: AUDIENCE, exp: 9_999_999_999 })
          .setProtectedHeader({ alg: 'HS256' })
          .sign(new Uint8Array(32)),
    ],
  ])('is refused with %s', async (_name, make) => {
    await expect(verifyJwtSvid(await make(), bundles, { audience: AUDIENCE })).rejects.toThrow(refused)
  })

  it('of a domain without bundle is refused', async () => {
    const token = await sign({ sub: 'spiffe://other.org/x' })
    await expect(verifyJwtSvid(token, bundles, { audience: AUDIENCE })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_BUNDLE_UNKNOWN',
    })
  })

  it('needs a kid only where there is a choice', async () => {
    const token = await sign({}, { kid: undefined })
    await expect(verifyJwtSvid(token, bundles, { audience: AUDIENCE })).resolves.toBeDefined()
    const two = sourceOf(
      new Map([
        ['a', authority.jwtKeys.publicKey],
        ['b', foreign.jwtKeys.publicKey],
      ]),
    )
    await expect(verifyJwtSvid(token, two, { audience: AUDIENCE })).rejects.toThrow(refused)
  })
})
