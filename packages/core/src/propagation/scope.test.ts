import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KestConfigError } from '../errors.js'
import { compileScope, type PropagateTo } from './scope.js'

function allows(rule: PropagateTo, url: string): boolean {
  return compileScope(rule)(new URL(url))
}

describe('compileScope', () => {
  it.each([
    ['http://hop2:8000', 'http://hop2:8000/a?b#c', true],
    ['http://hop2:8000', 'http://user:pw@hop2:8000/', true],
    ['http://HOP2:8000', 'http://hop2:8000/', true],
    ['http://hop2', 'http://hop2:80/', true],
    ['https://hop2:443', 'https://hop2/', true],
    ['http://[::1]:80', 'http://[0:0::1]/', true],
    ['https://bücher.example', 'https://xn--bcher-kva.example/', true],
    ['http://hop2:8000', 'http://hop2:8001/', false],
    ['http://hop2:8000', 'http://hop2/', false],
    ['http://hop2:8000', 'https://hop2:8000/', false],
    ['http://hop2', 'http://hop2.evil.test/', false],
    ['http://hop2', 'http://evil.test/http://hop2', false],
    ['http://hop2', 'http://hop2@evil.test/', false],
    ['http://hop2', 'http://hop2./', false],
    ['http://hop2', 'http://xhop2/', false],
    ['https://*.svc.local', 'https://a.svc.local/x', true],
    ['https://*.svc.local', 'https://a.b.svc.local/', true],
    ['https://*.SVC.local:443', 'https://A.svc.local/', true],
    ['http://*.svc.local:8080', 'http://a.svc.local:8080/', true],
    ['https://*.svc.local', 'https://svc.local/', false],
    ['https://*.svc.local', 'https://.svc.local/', false],
    ['https://*.svc.local', 'https://a..svc.local/', false],
    ['https://*.svc.local', 'https://evilsvc.local/', false],
    ['https://*.svc.local', 'https://a.svc.local.evil.test/', false],
    ['https://*.svc.local', 'https://a.svc.local./', false],
    ['https://*.svc.local', 'https://a.svc.local:8443/', false],
    ['https://*.svc.local', 'http://a.svc.local/', false],
  ])('K-SCOPE %s covers %s: %s', (rule, url, expected) => {
    expect(allows([rule], url)).toBe(expected)
    expect(allows(['http://other', rule, 'https://*.other.test'], url)).toBe(expected)
  })

  it.each([
    '*',
    'https://*',
    'https://*.local',
    'https://*:443',
    'https://*.',
    'https://*..local.test',
    'https://*.*.svc.local',
    'https://a.*.svc.local',
    'https://a*.svc.local',
    'https://*a.svc.local',
    'https://*.0.0.1',
    'https://any.svc.*',
    'https://%2A.svc.local',
    'https://a.%2a',
    'hop2:8000',
    'hop2',
    '//hop2',
    'ws://hop2',
    'ftp://hop2',
    'file:///etc',
    'http:hop2',
    'http:///hop2',
    'http://hop2/',
    'http://hop2/api',
    'http://hop2?x',
    'http://hop2#x',
    'http://user@hop2',
    'http://hop2\\x',
    ' http://hop2',
    'http://hop2\n',
    'http://ho\tp2',
    'http://hop2:99999',
    'http://hop2:x',
    'http://',
    '',
    'null',
    '^https?://.*$',
    /hop2/,
    null,
    7,
    new URL('http://hop2'),
    Object.create(null),
  ])('K-SCOPE refuses the rule %j when it is made', (rule) => {
    expect(() => compileScope([rule as string])).toThrow(KestConfigError)
  })

  it('K-SCOPE refuses what is neither a list nor a function', () => {
    for (const rule of ['http://hop2', undefined, null, {}, /x/, new Set(['http://hop2'])]) {
      expect(() => compileScope(rule as unknown as PropagateTo)).toThrow(KestConfigError)
    }
  })

  it('K-SCOPE an empty list covers nothing', () => {
    expect(allows([], 'http://hop2/')).toBe(false)
  })

  it('K-SCOPE asks a function, about http and https only', () => {
    const asked: string[] = []
    const scope = compileScope((url) => asked.push(url.href) === 1)
    expect(
      ['http://a/', 'https://b/', 'ws://c/', 'file:///d', 'blob:http://a/x'].map((url) =>
        scope(new URL(url)),
      ),
    ).toEqual([true, false, false, false, false])
    expect(asked).toEqual(['http://a/', 'https://b/'])
  })

  it('K-SCOPE a function that fails, or answers a promise, is an error and not a yes', () => {
    const cause = new Error('boom')
    const expected = { code: 'ERR_KEST_OUTBOUND' }
    const failing = (): boolean => {
      throw cause
    }
    expect(() => allows(failing, 'http://a/')).toThrow(expect.objectContaining({ ...expected, cause }))
    for (const answer of [Promise.resolve(true), 1, 'yes', undefined, null]) {
      expect(() => allows(() => answer as never, 'http://a/')).toThrow(expect.objectContaining(expected))
    }
  })

  it('K-SCOPE an exact origin covers exactly itself', () => {
    fc.assert(
      fc.property(fc.webUrl({ validSchemes: ['http', 'https'] }), fc.webUrl(), (a, b) => {
        const { origin } = new URL(a)
        fc.pre(!origin.includes('*'))
        expect(allows([origin], a)).toBe(true)
        expect(allows([origin], b)).toBe(new URL(b).origin === origin)
      }),
    )
  })
})
