import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority } from '../../tests/support/material.js'
import type { Authority } from '../dev-authority/authority.js'
import { SpiffeError } from '../errors.js'
import { combineBundleSources, createBundleSet } from './bundle-set.js'
import { parsePemBundle } from './pem.js'
import { parseJwtBundle, parseSpiffeBundle } from './spiffe-bundle.js'
import { X509Bundle } from './x509-bundle.js'

let one: Authority
let other: Authority

beforeAll(async () => {
  one = await makeAuthority()
  other = await makeAuthority()
})

function x509Key(authority: Authority): Record<string, unknown> {
  return {
    ...authority.rootKeys.publicKey.export({ format: 'jwk' }),
    use: 'x509-svid',
    x5c: [Buffer.from(authority.root).toString('base64')],
  }
}

function jwtKey(authority: Authority): Record<string, unknown> {
  return { ...authority.jwtKeys.publicKey.export({ format: 'jwk' }), use: 'jwt-svid', kid: authority.kid }
}

function refusal(run: () => unknown): { readonly code: string; readonly message: string } {
  try {
    run()
  } catch (error) {
    if (error instanceof SpiffeError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('it was not refused')
}

describe('a SPIFFE bundle', () => {
  it('is read with its sequence and refresh hint, from an object, text or bytes', () => {
    const document = { keys: [x509Key(one), jwtKey(one)], spiffe_sequence: 7, spiffe_refresh_hint: 60 }
    for (const form of [document, JSON.stringify(document), Buffer.from(JSON.stringify(document))]) {
      const { x509, jwt } = parseSpiffeBundle(form, 'example.org')
      expect(x509).toMatchObject({ sequence: 7, refreshHintMs: 60_000, trustDomain: { name: 'example.org' } })
      expect(x509.authorities).toEqual([new Uint8Array(one.root)])
      expect([...jwt.keys.keys()]).toEqual([one.kid])
    }
  })

  it('passes over keys of an unknown kind or use, and those without a use', () => {
    const { use: _use, ...unused } = x509Key(one)
    const keys = [
      { kty: 'AKP', use: 'x509-svid', pub: 'x' },
      { ...x509Key(one), use: 'wit-svid' },
      { ...x509Key(one), use: 'X509-SVID' },
      unused,
    ]
    const { x509, jwt } = parseSpiffeBundle({ keys }, 'example.org')
    expect([x509.authorities.length, jwt.keys.size]).toEqual([0, 0])
  })

  it('passes over an authority without certificate, and certificates beside the first (X509-SVID §6.2)', () => {
    const { x5c, ...bare } = x509Key(one)
    const keys = [bare, { ...bare, x5c: [] }, { ...bare, x5c: [x5c, 'AAAA'].flat() }]
    expect(parseSpiffeBundle({ keys }, 'example.org').x509.authorities).toEqual([new Uint8Array(one.root)])
  })

  it('may have a sequence of 64 bits', () => {
    const text = '{"keys":[],"spiffe_sequence":1732690000000000001}'
    expect(parseSpiffeBundle(text, 'example.org').x509.sequence).toBe(1732690000000000000)
  })

  it('is written as it is read', () => {
    const document = { keys: [x509Key(one), x509Key(other)], spiffe_sequence: 7, spiffe_refresh_hint: 60 }
    const { x509 } = parseSpiffeBundle(document, 'example.org')
    expect(JSON.parse(JSON.stringify(x509))).toEqual(document)
    expect(parseSpiffeBundle(JSON.stringify(x509), 'example.org').x509.equals(x509)).toBe(true)
    expect(new X509Bundle('example.org', []).toJSON()).toEqual({ keys: [] })
  })

  it('may be empty: then nothing verifies', () => {
    expect(parseSpiffeBundle({ keys: [] }, 'example.org').x509.authorities).toEqual([])
  })

  it.each<[string, () => unknown]>([
    ['no object', () => []],
    ['not JSON', () => '{'],
    ['not UTF-8', () => Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['no keys', () => ({})],
    ['keys that are no list', () => ({ keys: {} })],
    ['a key that is no object', () => ({ keys: ['x'] })],
    ['a key without kty', () => ({ keys: [{ use: 'x509-svid' }] })],
    ['certificates that are no list', () => ({ keys: [{ ...x509Key(one), x5c: 'AAAA' }] })],
    ['a sequence of more than 64 bits', () => ({ keys: [], spiffe_sequence: 2 ** 65 })],
    ['a certificate that is not base64', () => ({ keys: [{ ...x509Key(one), x5c: ['*'] }] })],
    ['a certificate that is none', () => ({ keys: [{ ...x509Key(one), x5c: ['AAAA'] }] })],
    [
      'a key that is not its certificate’s',
      () => ({ keys: [{ ...x509Key(one), x5c: x509Key(other)['x5c'] }] }),
    ],
    ['a key that is not on its curve', () => ({ keys: [{ ...x509Key(one), x: x509Key(one)['y'] }] })],
    [
      'a private key',
      () => ({ keys: [{ ...x509Key(one), ...one.rootKeys.privateKey.export({ format: 'jwk' }) }] }),
    ],
    ['a JWT key without kid', () => ({ keys: [{ ...jwtKey(one), kid: undefined }] })],
    ['a kid that occurs twice', () => ({ keys: [jwtKey(one), { ...jwtKey(other), kid: one.kid }] })],
    ['a sequence that is no whole number', () => ({ keys: [], spiffe_sequence: 1.5 })],
    ['a sequence that is text', () => ({ keys: [], spiffe_sequence: '1' })],
    ['a refresh hint below zero', () => ({ keys: [], spiffe_refresh_hint: -1 })],
  ])('is refused with %s', (_name, make) => {
    expect(refusal(() => parseSpiffeBundle(make(), 'example.org')).code).toBe('ERR_SPIFFE_BUNDLE')
  })

  it('does not show a private key that should not be in it', () => {
    const secret = String(one.rootKeys.privateKey.export({ format: 'jwk' }).d)
    const { message } = refusal(() =>
      parseSpiffeBundle({ keys: [{ ...x509Key(one), d: secret }] }, 'example.org'),
    )
    expect(message).not.toContain(secret)
  })

  it('of the Workload API needs no use for JWT keys', () => {
    const { use: _use, ...key } = jwtKey(one)
    expect(parseJwtBundle({ keys: [key, x509Key(one)] }, 'example.org').keys.size).toBe(1)
  })
})

describe('a bundle in PEM', () => {
  const pem = (der: Uint8Array, label = 'CERTIFICATE'): string =>
    `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`

  it('is read with text between the blocks, and each authority once', () => {
    const text = `first\r\n${pem(one.root)}second\n${pem(other.root)}${pem(one.root)}`
    expect(parsePemBundle(text, 'example.org').authorities).toEqual(
      [one.root, other.root].map((der) => new Uint8Array(der)),
    )
  })

  it.each<[string, () => string]>([
    ['nothing', () => ''],
    ['another kind of block', () => pem(one.root) + pem(Buffer.from('x'), 'PRIVATE KEY')],
    ['a block that does not end', () => `${pem(one.root)}-----BEGIN CERTIFICATE-----\nAAAA`],
    ['what is no certificate', () => pem(Buffer.from('x'))],
    ['bytes behind a certificate', () => pem(Buffer.concat([one.root, Buffer.of(0)]))],
  ])('is refused with %s', (_name, make) => {
    expect(refusal(() => parsePemBundle(make(), 'example.org')).code).toBe('ERR_SPIFFE_BUNDLE')
  })
})

describe('X509Bundle', () => {
  it('is the same with the same authorities in another order', () => {
    const [a, b] = [one.root, other.root]
    expect(new X509Bundle('example.org', [a, b]).equals(new X509Bundle('example.org', [b, a, a]))).toBe(true)
    expect(new X509Bundle('example.org', [a, b]).equals(new X509Bundle('example.org', [a]))).toBe(false)
    expect(new X509Bundle('example.org', [a]).equals(new X509Bundle('other.org', [a]))).toBe(false)
  })
})

describe('a set of bundles', () => {
  it('answers for its own domains alone', () => {
    const set = createBundleSet({ 'example.org': { keys: [x509Key(one)] } })
    expect(set.getX509Bundle('example.org')?.authorities).toHaveLength(1)
    expect(set.getX509Bundle('other.org')).toBeUndefined()
    expect(set.getX509Bundle('constructor')).toBeUndefined()
  })

  it('refuses a bundle that was read as that of another domain', () => {
    const bundle = new X509Bundle('other.org', [one.root])
    expect(refusal(() => createBundleSet({ 'example.org': bundle })).code).toBe('ERR_SPIFFE_BUNDLE')
    expect(refusal(() => createBundleSet({ 'Example.org': bundle })).code).toBe('ERR_SPIFFE_TRUST_DOMAIN')
  })

  it('refuses the ID of a workload, and two bundles of one domain', () => {
    const bundle = { keys: [x509Key(one)] }
    expect(refusal(() => createBundleSet({ 'spiffe://example.org/billing': bundle })).code).toBe(
      'ERR_SPIFFE_TRUST_DOMAIN',
    )
    const twice = { 'example.org': bundle, 'spiffe://example.org': bundle }
    expect(refusal(() => createBundleSet(twice)).code).toBe('ERR_SPIFFE_BUNDLE')
  })

  it('asks several sources in order, and never pools what they answer', () => {
    const first = createBundleSet({ 'example.org': new X509Bundle('example.org', [one.root]) })
    const second = createBundleSet({
      'example.org': new X509Bundle('example.org', [other.root]),
      'other.org': new X509Bundle('other.org', [other.root]),
    })
    const both = combineBundleSources(first, second)
    expect(both.getX509Bundle('example.org')?.authorities).toEqual([one.root])
    expect(both.getX509Bundle('other.org')?.authorities).toEqual([other.root])
  })

  it('is found by its name, also where an ID was written', () => {
    const set = createBundleSet({ 'spiffe://example.org': { keys: [x509Key(one)] } })
    expect(set.getX509Bundle('example.org')?.authorities).toEqual([new Uint8Array(one.root)])
  })
})

it('keys of a JWT bundle are the same when their names and material are', () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  const bundle = (kid: string): unknown => ({ keys: [{ ...key, kid }] })
  expect(parseJwtBundle(bundle('a'), 'example.org').equals(parseJwtBundle(bundle('a'), 'example.org'))).toBe(
    true,
  )
  expect(parseJwtBundle(bundle('a'), 'example.org').equals(parseJwtBundle(bundle('b'), 'example.org'))).toBe(
    false,
  )
})
