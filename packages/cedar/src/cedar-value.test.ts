import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NotCedarError, toCedar } from './cedar-value.js'
import { loadCedar } from './wasm/cedar.js'

describe('a value for Cedar', () => {
  it.each<[unknown, unknown]>([
    ['text', 'text'],
    ['', ''],
    [true, true],
    [0, 0],
    [-9007199254740991, -9007199254740991],
    [
      ['b', 'a', 'b'],
      ['b', 'a', 'b'],
    ],
    [{ a: { b: [1] } }, { a: { b: [1] } }],
    [{ a: null, b: 1 }, { b: 1 }],
    [{ a: { b: null } }, { a: {} }],
  ])('of %j is %j', (value, expected) => {
    expect(toCedar(value, 'v')).toEqual(expected)
  })

  it.each<[string, unknown, RegExp]>([
    ['a number that is not whole', { price: [1, 2.5] }, /^v\.price\[1\]: 2\.5 is not a whole number/],
    ['a number that is not exact', 2 ** 53, /^v: 9007199254740992 is not/],
    ['no number', Number.NaN, /NaN/],
    ['null among others', ['a', null], /^v\[1\]: Cedar has no null/],
    ['null', null, /^v: Cedar has no null/],
    [
      'what would be a reference',
      { owner: { __entity: { type: 'User', id: 'root' } } },
      /^v\.owner: .*__entity/,
    ],
    ['what would be an extension', { __extn: { fn: 'ip', arg: '127.0.0.1' } }, /__extn/],
    ['what once was an expression', [{ __expr: 'User::"root"' }], /^v\[0\]: .*__expr/],
    ['a function', () => {}, /Cedar has no function/],
  ])('is refused when it is %s', (_, value, message) => {
    expect(() => toCedar(value, 'v')).toThrow(NotCedarError)
    expect(() => toCedar(value, 'v')).toThrow(message)
  })

  it('of what is not looked at is left out, unread', () => {
    const used = new Map([['a', new Map([['b', true as const]])]])
    expect(toCedar({ a: { b: 1, c: 2.5 }, d: null, e: 1.5 }, 'v', used)).toEqual({ a: { b: 1 } })
    expect(toCedar({ a: 'no record' }, 'v', used)).toEqual({ a: 'no record' })
  })

  it('has a member called __proto__ like any other', () => {
    const value = JSON.parse('{"__proto__":{"a":1}}')
    expect(Object.keys(toCedar(value, 'v'))).toEqual(['__proto__'])
  })

  it('is one that Cedar takes, whatever JSON it was made of', async () => {
    const cedar = await loadCedar()
    const seen = { taken: 0, refused: 0 }
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false, maxDepth: 4 }), (value) => {
        let converted: ReturnType<typeof toCedar>
        try {
          converted = toCedar(value, 'v')
        } catch (error) {
          expect(error).toBeInstanceOf(NotCedarError)
          seen.refused++
          return
        }
        seen.taken++
        const context = { v: converted } as Parameters<typeof cedar.checkParseContext>[0]['context']
        expect(cedar.checkParseContext({ context })).toEqual({ type: 'success' })
      }),
      { numRuns: 1_000, seed: 5 },
    )
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(100)
  })
})
