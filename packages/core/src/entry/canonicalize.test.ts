import canonicalizeOracle from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failure, vectors } from '../../tests/support/signed.js'
import { canonicalize } from './canonicalize.js'

/** Text of every kind: other planes, controls, lone surrogates. */
const anyText = fc.string({ unit: 'binary' })
const text = anyText.filter((value) => !/\p{Surrogate}/u.test(value))
const name = fc.oneof(
  text,
  fc.constantFrom('__proto__', 'constructor', 'toString', '0', '10', '9', '-1', '1.5', ''),
)
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, -0, 1e21, 1e-7, 5e-324, 0.1, 2 ** 53),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    text,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5 }),
  ),
})).value

describe('canonicalize', () => {
  it('TC-10 F-AE-03 sorts members', () => {
    expect(canonicalize({ z: 3, a: 1, m: 2 })).toBe('{"a":1,"m":2,"z":3}')
  })

  it.each(vectors('jcs/input'))('NF-CORR-01 writes $name as RFC 8785 does', ({ name: file, text: input }) => {
    const output = vectors('jcs/output').find((vector) => vector.name === file)?.text
    expect(output).toBeDefined()
    expect(canonicalize(JSON.parse(input))).toBe(output?.trimEnd())
  })

  it('NF-CORR-01 agrees with another implementation on any JSON value', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalize(value)).toBe(canonicalizeOracle(value))
      }),
      { numRuns: 2000 },
    )
  })

  it('is its own inverse to parsing', () => {
    fc.assert(
      fc.property(json, (value) => {
        const once = canonicalize(value)
        expect(canonicalize(JSON.parse(once))).toBe(once)
      }),
    )
  })

  it('keeps a member that is called __proto__', () => {
    expect(canonicalize(JSON.parse('{"b":1,"__proto__":{"x":1}}'))).toBe('{"__proto__":{"x":1},"b":1}')
  })

  it('takes objects without a prototype, and those of another realm', () => {
    const bare: Record<string, unknown> = Object.create(null)
    bare['a'] = 1
    expect(canonicalize(bare)).toBe('{"a":1}')
    expect(canonicalize(structuredClone({ a: 1 }))).toBe('{"a":1}')
  })

  it('reads each getter once', () => {
    let reads = 0
    const value = {
      get a(): number {
        return ++reads
      },
    }
    expect(canonicalize({ value })).toBe('{"value":{"a":1}}')
    expect(reads).toBe(1)
  })

  const circle: { self?: unknown } = {}
  circle.self = circle
  it.each([
    ['undefined', undefined],
    ['a member that is undefined', { a: undefined }],
    ['a hole', new Array(1)],
    ['NaN', { a: Number.NaN }],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['a bigint', 1n],
    ['a symbol', Symbol('a')],
    ['a function', { toJSON: () => 1 }],
    ['a lone high surrogate', 'a\ud800'],
    ['a lone low surrogate in a name', { '\udc00': 1 }],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a boxed number', Object(1)],
    ['an instance', new (class A {})()],
    ['a circle', circle],
    [
      'a getter that throws',
      {
        get a(): number {
          throw new RangeError('no')
        },
      },
    ],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new RangeError('no')
          },
        },
      ),
    ],
  ])('refuses %s', async (_, value) => {
    expect((await failure(() => canonicalize(value))).code).toBe('ERR_KEST_NOT_JSON')
  })

  it('K-LIMIT nests as deep as allowed, and no deeper', async () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
    expect(canonicalize(nested(64))).toHaveLength(129)
    expect((await failure(() => canonicalize(nested(65)))).code).toBe('ERR_KEST_NOT_JSON')
    expect(canonicalize(nested(3), { nesting: 3 })).toBe('[[[1]]]')
    expect((await failure(() => canonicalize(nested(4), { nesting: 3 }))).code).toBe('ERR_KEST_NOT_JSON')
  })

  it('throws nothing but our own errors, whatever it is given', () => {
    fc.assert(
      fc.asyncProperty(fc.anything({ withBigInt: true, withDate: true, withMap: true }), async (value) => {
        try {
          canonicalize(value)
        } catch (error) {
          expect((await failure(() => Promise.reject(error))).code).toBe('ERR_KEST_NOT_JSON')
        }
      }),
    )
  })
})
