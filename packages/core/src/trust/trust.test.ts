import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failure } from '../../tests/support/signed.js'
import { defaultTrustEvaluator } from './evaluator.js'
import { createOriginMap, DEFAULT_ORIGINS } from './origins.js'
import { computeTaints } from './taints.js'
import { trustDomainOf } from './trust-domain.js'

const score = fc.integer({ min: 0, max: 100 })

describe('createOriginMap', () => {
  it('F-TS-02 has the protocol’s origins', () => {
    expect(DEFAULT_ORIGINS).toEqual({
      system: 100,
      internal: 100,
      verified_rag: 90,
      third_party_api: 60,
      user_input: 40,
      internet: 10,
      llm: 0,
    })
    const origins = createOriginMap()
    for (const [name, value] of Object.entries(DEFAULT_ORIGINS)) expect(origins.score(name)).toBe(value)
  })

  it('trusts an unknown origin with 10, whatever it is called', () => {
    const origins = createOriginMap()
    for (const name of ['nowhere', '', '__proto__', 'constructor', 'toString'])
      expect(origins.score(name)).toBe(10)
  })

  it('F-TS-02 takes origins of one’s own', () => {
    expect(createOriginMap({ partner: 70, ['__proto__x']: 0 }).score('partner')).toBe(70)
  })

  it.each<[string, Record<string, number>]>([
    ['a default', { llm: 50 }],
    ['a default, to the same', { system: 100 }],
    ['a fraction', { a: 1.5 }],
    ['a score above 100', { a: 101 }],
    ['a score below 0', { a: -1 }],
    ['text', { a: '5' as unknown as number }],
    ['no name', { '': 5 }],
  ])('F-TS-02 refuses %s', async (_, custom) => {
    expect((await failure(() => createOriginMap(custom))).code).toBe('ERR_KEST_CONFIG')
  })
})

describe('defaultTrustEvaluator', () => {
  it('TC-04 internet, then internal: 10', () => {
    const root = defaultTrustEvaluator.calculate(DEFAULT_ORIGINS['internet'] as number, [])
    expect(defaultTrustEvaluator.calculate(DEFAULT_ORIGINS['internal'] as number, [root])).toBe(10)
  })

  it('F-TS-04 NF-CORR-03 scales the least of the parents, in integers, rounded down', () => {
    expect(defaultTrustEvaluator.calculate(60, [40])).toBe(24)
    expect(defaultTrustEvaluator.calculate(90, [40, 15])).toBe(13)
    expect(defaultTrustEvaluator.calculate(29, [100])).toBe(29)
    fc.assert(
      fc.property(score, fc.array(score, { minLength: 1, maxLength: 5 }), (self, parents) => {
        const least = BigInt(parents.reduce((a, b) => Math.min(a, b)))
        expect(defaultTrustEvaluator.calculate(self, parents)).toBe(Number((least * BigInt(self)) / 100n))
      }),
    )
  })
})

describe('computeTaints', () => {
  it('TC-06 {a,b} + c − b is [a,c]', () => {
    expect(computeTaints([['a', 'b']], ['c'], ['b'])).toEqual(['a', 'c'])
  })

  it('F-AE-10 joins the taints of all parents, each once', () => {
    expect(computeTaints([['b', 'a'], ['c', 'a'], []], [], [])).toEqual(['a', 'b', 'c'])
    expect(computeTaints([], [], [])).toEqual([])
  })

  it('F-TT-04 F-TT-05 sorts by code point, not by UTF-16 unit', () => {
    expect(computeTaints([], ['\u{1F600}', '\uFF5E', 'z', '\u{10000}'], [])).toEqual([
      'z',
      '\uFF5E',
      '\u{10000}',
      '\u{1F600}',
    ])
    const text = fc.string({ unit: 'binary', maxLength: 4 })
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), (taints) => {
        const points = (value: string): number[] => [...value].map((c) => c.codePointAt(0) as number)
        const compare = (a: string, b: string): number => {
          const [p, q] = [points(a), points(b)]
          for (let i = 0; i < Math.min(p.length, q.length); i++) {
            if (p[i] !== q[i]) return (p[i] as number) - (q[i] as number)
          }
          return p.length - q.length
        }
        expect(computeTaints([], taints, [])).toEqual([...new Set(taints)].sort(compare))
      }),
    )
  })
})

describe('trustDomainOf', () => {
  it.each([
    ['spiffe://example.org/hop1', 'example.org'],
    ['spiffe://example.org', 'example.org'],
    ['spiffe://a-b_c.1/x/y', 'a-b_c.1'],
    ['SPIFFE://example.org/x', undefined],
    ['spiffe://Example.org/x', undefined],
    ['spiffe://example.org:80/x', undefined],
    ['spiffe://user@example.org/x', undefined],
    ['spiffe:///x', undefined],
    ['spiffe://', undefined],
    [`spiffe://${'a'.repeat(256)}/x`, undefined],
    ['https://example.org/x', undefined],
    ['arn:aws:iam::123456789012:role/x', undefined],
    ['', undefined],
  ])('of %s is %s', (principal, domain) => {
    expect(trustDomainOf(principal)).toBe(domain)
  })
})
