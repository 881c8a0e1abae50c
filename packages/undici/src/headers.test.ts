import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { takeBaggage } from './headers.js'

const forms = [
  ['an object', { a: '1', Baggage: 'x=1', BAGGAGE: ['y=2', 'z=3'] }],
  ['a flat array', ['a', '1', 'Baggage', 'x=1', 'BAGGAGE', ['y=2', 'z=3']]],
  [
    'an array of pairs',
    [
      ['a', '1'],
      ['Baggage', 'x=1'],
      ['BAGGAGE', ['y=2', 'z=3']],
    ],
  ],
  [
    'an iterable',
    new Map<string, unknown>([
      ['a', '1'],
      ['Baggage', 'x=1'],
      ['BAGGAGE', ['y=2', 'z=3']],
    ]),
  ],
] as const

describe('baggage in the headers of a dispatch', () => {
  it.each(forms)('is taken out of %s, all lines of it', (_, headers) => {
    expect(takeBaggage(headers).lines).toEqual(['x=1', 'y=2', 'z=3'])
  })

  it('is put into the form that undici was given', () => {
    const [record, flat, pairs, iterable] = forms.map(([, headers]) => takeBaggage(headers).put('k=v'))
    expect(record).toEqual({ a: '1', baggage: 'k=v' })
    for (const list of [flat, pairs, iterable]) expect(list).toEqual(['a', '1', 'baggage', 'k=v'])
  })

  it('is taken out of WHATWG Headers, whose other repeated headers stay apart', () => {
    const headers = new Headers([
      ['baggage', 'x=1'],
      ['baggage', 'y=2'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ])
    const { lines, put } = takeBaggage(headers)
    expect(lines.join(',').replaceAll(' ', '')).toBe('x=1,y=2')
    expect(put('k=v')).toEqual(['set-cookie', 'a', 'set-cookie', 'b', 'baggage', 'k=v'])
    expect(headers.get('baggage')).toBe('x=1, y=2')
  })

  it('may be all there is, or nothing', () => {
    for (const nothing of [undefined, null, {}]) {
      expect(takeBaggage(nothing).lines).toEqual([])
      expect(takeBaggage(nothing).put('k=v')).toEqual({ baggage: 'k=v' })
      expect(takeBaggage(nothing).put(undefined)).toBe(nothing)
    }
    expect(takeBaggage({ baggage: 'x=1' }).put(undefined)).toEqual({})
  })

  it('survives an iterator that can be read once', () => {
    const { put } = takeBaggage(new Map([['a', '1']]).entries())
    expect(put(undefined)).toEqual(['a', '1'])
  })

  it('keeps a header that is named like a member of Object.prototype', () => {
    const headers = JSON.parse('{ "__proto__": "x", "constructor": "y" }')
    expect(Object.entries(takeBaggage(headers).put('k=v') as object)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['baggage', 'k=v'],
    ])
  })

  it('is text: values that undici would turn into text are, and others are refused', () => {
    expect(takeBaggage({ baggage: [1, true, null, undefined, 'x=1'] }).lines).toEqual(['1', 'true', 'x=1'])
    for (const baggage of [{}, [['x=1']], () => 'x=1', Symbol('x')]) {
      expect(() => takeBaggage({ baggage })).toThrow(expect.objectContaining({ code: 'ERR_KEST_BAGGAGE' }))
    }
  })

  it('is not looked for in what are no headers', () => {
    for (const headers of [
      'a: 1',
      7,
      ['a'],
      ['a', '1', 'b'],
      [['a']],
      [1, 2],
      new Set(['ab']),
      new Map([[1, '2']]),
    ]) {
      expect(() => takeBaggage(headers)).toThrow(expect.objectContaining({ code: 'ERR_KEST_OUTBOUND' }))
    }
  })

  it('changes no other header, nor what it was given', () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,8}$/)
    const header = fc.tuple(fc.oneof(name, fc.constantFrom('baggage', 'Baggage', 'bAGGAGE')), fc.string())
    fc.assert(
      fc.property(fc.array(header), fc.option(fc.string(), { nil: undefined }), (pairs, value) => {
        const given = structuredClone(pairs)
        const others = pairs.filter(([key]) => key.toLowerCase() !== 'baggage')
        const { lines, put } = takeBaggage(pairs.flat())
        expect(lines).toEqual(pairs.filter((pair) => !others.includes(pair)).map(([, text]) => text))
        expect(put(value)).toEqual([...others.flat(), ...(value === undefined ? [] : ['baggage', value])])
        expect(takeBaggage(new Map(pairs)).put(value)).toEqual(
          takeBaggage([...new Map(pairs)].flat()).put(value),
        )
        expect(pairs).toEqual(given)
      }),
    )
  })
})
