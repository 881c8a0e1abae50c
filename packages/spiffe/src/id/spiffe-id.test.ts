import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SpiffeError } from '../errors.js'
import { SpiffeId, TrustDomain } from './spiffe-id.js'

const TRUST_DOMAIN_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789.-_'
const PATH_CHARACTERS = `${TRUST_DOMAIN_CHARACTERS}ABCDEFGHIJKLMNOPQRSTUVWXYZ`

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof SpiffeError) return error.code
    throw error
  }
  return undefined
}

describe('SpiffeId', () => {
  it.each([
    ['spiffe://trustdomain', 'trustdomain', ''],
    ['spiffe://trustdomain/path', 'trustdomain', '/path'],
    [
      'spiffe://trustdomain/9eebccd2-12bf-40a6-b262-65fe0487d453',
      'trustdomain',
      '/9eebccd2-12bf-40a6-b262-65fe0487d453',
    ],
    ['spiffe://trustdomain/.path', 'trustdomain', '/.path'],
    ['spiffe://trustdomain/..path', 'trustdomain', '/..path'],
    ['spiffe://trustdomain/...', 'trustdomain', '/...'],
    ['spiffe://trustdomain/path/...', 'trustdomain', '/path/...'],
    ['spiffe://1.2.3.4/service', '1.2.3.4', '/service'],
    ['spiffe://trust_domain/Path', 'trust_domain', '/Path'],
  ])('reads %s', (text, name, path) => {
    const id = SpiffeId.parse(text)
    expect([id.trustDomain.name, id.path, id.toString(), JSON.stringify(id)]).toEqual([
      name,
      path,
      text,
      JSON.stringify(text),
    ])
  })

  it.each([
    ['nothing', ''],
    ['no scheme', 's'],
    ['one slash', 'spiffe:/trustdomain/path'],
    ['another scheme', 'http://trustdomain/path'],
    ['a scheme in capitals', 'Spiffe://trustdomain/path'],
    ['no trust domain', 'spiffe://'],
    ['no trust domain before a path', 'spiffe:///path'],
    ['a trust domain in capitals', 'spiffe://TrustDomain/path'],
    ['user information', 'spiffe://user@trustdomain/path'],
    ['user and password', 'spiffe://user:password@trustdomain/path'],
    ['a port', 'spiffe://trustdomain:8080/path'],
    ['an IPv6 address', 'spiffe://[::1]/path'],
    ['a query', 'spiffe://trustdomain/path?query=1'],
    ['a fragment', 'spiffe://trustdomain/path#fragment'],
    ['a query behind the domain', 'spiffe://trustdomain?query'],
    ['a percent-encoded path', 'spiffe://trustdomain/pa%74h'],
    ['a percent-encoded domain', 'spiffe://trust%64omain/path'],
    ['a slash at the end', 'spiffe://trustdomain/'],
    ['a slash at the end of a path', 'spiffe://trustdomain/path/'],
    ['an empty segment', 'spiffe://trustdomain//path'],
    ['a segment "."', 'spiffe://trustdomain/./path'],
    ['a segment ".."', 'spiffe://trustdomain/path/..'],
    ['a space', 'spiffe://trustdomain/a path'],
    ['a line break at the end', 'spiffe://trustdomain/path\n'],
    ['a backslash', 'spiffe://trustdomain/path\\x'],
    ['a trust domain of 256 characters', `spiffe://${'a'.repeat(256)}/path`],
    ['2049 characters', `spiffe://trustdomain/${'a'.repeat(2049 - 21)}`],
  ])('refuses %s', (_name, text) => {
    expect(codeOf(() => SpiffeId.parse(text))).toBe('ERR_SPIFFE_ID')
  })

  it('takes the longest that the standard allows', () => {
    expect(SpiffeId.parse(`spiffe://${'a'.repeat(255)}/path`).trustDomain.name).toHaveLength(255)
    expect(SpiffeId.parse(`spiffe://trustdomain/${'a'.repeat(2048 - 21)}`).toString()).toHaveLength(2048)
  })

  it('allows in a trust domain and in a path the characters of the standard, and no other', () => {
    for (let code = 0; code < 256; code++) {
      const character = String.fromCharCode(code)
      if (character === '/') continue
      const domain = codeOf(() => SpiffeId.parse(`spiffe://trustdomain${character}/path`)) === undefined
      const path = codeOf(() => SpiffeId.parse(`spiffe://trustdomain/path${character}`)) === undefined
      expect([code, domain, path]).toEqual([
        code,
        TRUST_DOMAIN_CHARACTERS.includes(character),
        PATH_CHARACTERS.includes(character),
      ])
    }
  })

  it('reads what it writes, and throws nothing but its own error', () => {
    const segment = fc
      .string({ unit: fc.constantFrom(...PATH_CHARACTERS), minLength: 1, maxLength: 20 })
      .filter((text) => text !== '.' && text !== '..')
    const name = fc.string({ unit: fc.constantFrom(...TRUST_DOMAIN_CHARACTERS), minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(name, fc.array(segment, { maxLength: 5 }), (domain, segments) => {
        const text = ['spiffe:/', domain, ...segments].join('/')
        expect(SpiffeId.parse(text).toString()).toBe(text)
      }),
    )
    fc.assert(
      fc.property(fc.anything(), fc.string(), (value, tail) => {
        codeOf(() => SpiffeId.parse(value as string))
        codeOf(() => TrustDomain.parse(value as string))
        codeOf(() => SpiffeId.parse(`spiffe://${tail}`))
      }),
    )
  })

  it('tells members of a trust domain from those of others', () => {
    const id = SpiffeId.parse('spiffe://example.org/hop1')
    expect(id.memberOf(TrustDomain.parse('example.org'))).toBe(true)
    expect(id.memberOf(TrustDomain.parse('example.org.evil'))).toBe(false)
    expect(id.equals(SpiffeId.parse('spiffe://example.org/hop1'))).toBe(true)
    expect(id.equals(SpiffeId.parse('spiffe://example.org/hop2'))).toBe(false)
  })
})

describe('TrustDomain', () => {
  it('is read from a name, or from the ID of one of its members', () => {
    expect(TrustDomain.parse('example.org').id().toString()).toBe('spiffe://example.org')
    expect(TrustDomain.parse('spiffe://example.org/hop1').equals(TrustDomain.parse('example.org'))).toBe(true)
    expect(`${TrustDomain.parse('example.org')}`).toBe('example.org')
  })

  it.each([
    '',
    'Example.org',
    'example.org:80',
    'user@example.org',
    'example.org/path',
    'exämple.org',
    'a'.repeat(256),
  ])('refuses the name %j', (name) => {
    expect(codeOf(() => TrustDomain.parse(name))).toBe('ERR_SPIFFE_TRUST_DOMAIN')
  })

  it('refuses an ID that is none', () => {
    expect(codeOf(() => TrustDomain.parse('http://example.org'))).toBe('ERR_SPIFFE_ID')
  })
})
