import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { verdict } from '../../tests/support/signed.js'
import { KestError } from '../errors.js'
import { parents, roots, tips } from './graph.js'
import { Passport, parsePassport } from './passport.js'

describe('Passport', () => {
  it('NF-INTER-01 is a JSON array of strings, with nothing around it', () => {
    const passport = new Passport(['a.b.c', 'd.e.f'])
    expect(passport).toHaveLength(2)
    expect(JSON.stringify(passport)).toBe('["a.b.c","d.e.f"]')
    expect(`${passport}`).toBe('["a.b.c","d.e.f"]')
  })

  it('F-PA-03 may be empty', () => {
    expect(`${new Passport([])}`).toBe('[]')
    expect(parsePassport('[]')).toHaveLength(0)
  })

  it('keeps what it was given, not what that becomes', () => {
    const strings = ['a']
    const passport = new Passport(strings)
    strings.push('b')
    passport.toJSON().push('c')
    expect(passport.entries).toEqual(['a'])
    expect(Object.isFrozen(passport.entries)).toBe(true)
  })
})

describe('parsePassport', () => {
  it('NF-INTER-01 reads JSON text, its bytes and the array', () => {
    const passport = new Passport(['a.b.c', 'é'])
    for (const form of [
      `${passport}`,
      Buffer.from(`${passport}`),
      new TextEncoder().encode(`${passport}`),
      ['a.b.c', 'é'],
    ]) {
      expect(parsePassport(form)).toEqual(passport)
    }
    expect(parsePassport(' [ "a" ] ').entries).toEqual(['a'])
  })

  it.each<[string, unknown, number | null]>([
    ['nothing', undefined, null],
    ['null', null, null],
    ['a number', 5, null],
    ['no JSON', '[', null],
    ['no text', '', null],
    ['a JSON object', '{"0":"a"}', null],
    ['a JSON string', '"a"', null],
    ['what looks like an array', { 0: 'a', length: 1 }, null],
    ['bytes that are not UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), null],
    ['a byte order mark', Buffer.from('\ufeff[]'), null],
    ['a number among strings', ['a', 5], 1],
    ['null among strings', '["a","b",null]', 2],
    ['an array among strings', [['a']], 0],
    ['a hole', new Array(1), 0],
    ['a boxed string', [Object('a')], 0],
  ])('F-PA-04 refuses %s', async (_, value, index) => {
    expect(await verdict(() => parsePassport(value))).toEqual({
      code: 'ERR_KEST_PASSPORT_MALFORMED',
      index,
      entryId: null,
    })
  })

  it('K-LIMIT bounds entries, their bytes, and all bytes, each on its own', async () => {
    const limits = (options: object) => ({ limits: options })
    expect(parsePassport(Array(256).fill('a'))).toHaveLength(256)
    const refused = async (value: unknown, options = {}): Promise<unknown> => {
      const { code, index } = await verdict(() => parsePassport(value, options))
      return [code, index]
    }
    expect(await refused(Array(257).fill('a'))).toEqual(['ERR_KEST_LIMIT', null])
    expect(await refused(['a', 'b'], limits({ entries: 1 }))).toEqual(['ERR_KEST_LIMIT', null])
    expect(await refused(['a', 'x'.repeat(32_769)])).toEqual(['ERR_KEST_LIMIT', 1])
    expect(await refused(['a', 'bb'], limits({ entryBytes: 1 }))).toEqual(['ERR_KEST_LIMIT', 1])
    expect(await refused('x'.repeat(1_048_577))).toEqual(['ERR_KEST_LIMIT', null])
    expect(await refused(Buffer.alloc(1_048_577))).toEqual(['ERR_KEST_LIMIT', null])
    expect(await refused(Array(100).fill('x'.repeat(16_000)))).toEqual(['ERR_KEST_LIMIT', null])
  })

  it.each([
    ['empty strings', `[${'"",'.repeat(300_000)}""]`],
    ['numbers', `[${'1,'.repeat(500_000)}1]`],
    ['commas', `[${','.repeat(1_000_000)}]`],
  ])('K-LIMIT does not build a list of %s that it will not read', async (_, text) => {
    expect((await verdict(() => parsePassport(text))).code).toBe('ERR_KEST_LIMIT')
  })

  it('K-LIMIT reads as many entries of a text as are allowed, and not one more', async () => {
    const limits = { entries: 2 }
    expect(parsePassport('["a","b"]', { limits })).toHaveLength(2)
    expect((await verdict(() => parsePassport('["a","b","c"]', { limits }))).code).toBe('ERR_KEST_LIMIT')
  })

  it('K-LIMIT counts the bytes of the JSON, to the last', async () => {
    for (const passport of [new Passport([]), new Passport(['abc']), new Passport(['abc', 'de', 'f'])]) {
      const bytes = `${passport}`.length
      const within = { limits: { passportBytes: bytes } }
      expect(parsePassport(`${passport}`, within)).toEqual(passport)
      expect(parsePassport(passport.toJSON(), within)).toEqual(passport)
      const under = { limits: { passportBytes: bytes - 1 } }
      expect((await verdict(() => parsePassport(`${passport}`, under))).code).toBe('ERR_KEST_LIMIT')
      expect((await verdict(() => parsePassport(passport.toJSON(), under))).code).toBe('ERR_KEST_LIMIT')
    }
  })

  it('K-LIMIT counts bytes before it copies entries', async () => {
    const endless = new Proxy([], {
      get: (target, name) => (name === 'length' ? 1e9 : Reflect.get(target, name)),
    })
    expect((await verdict(() => parsePassport(endless))).code).toBe('ERR_KEST_LIMIT')
  })

  it('throws nothing but our own errors', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.json(), fc.uint8Array()), (value) => {
        try {
          parsePassport(value)
        } catch (error) {
          expect(error).toBeInstanceOf(KestError)
        }
      }),
    )
  })
})

describe('the graph of a passport', () => {
  const entry = (hash: string, ...parentIds: string[]) => ({ hash, entry: { parent_ids: parentIds } })

  it('K-TIP knows roots, tips and parents, in order', () => {
    const all = [
      entry('a', '0'),
      entry('b', 'a'),
      entry('c', 'a'),
      entry('d', 'c', 'b'),
      entry('e', '0'),
    ] as const
    const known = new Map(all.map((one) => [one.hash, one]))
    expect(roots(all).map(({ hash }) => hash)).toEqual(['a', 'e'])
    expect(tips(all).map(({ hash }) => hash)).toEqual(['d', 'e'])
    expect(parents(all[3], known)).toEqual([all[2], all[1]])
    expect(parents(all[0], known)).toEqual([])
    expect(parents(entry('x', 'a', 'y'), known)).toBeUndefined()
    expect(tips([])).toEqual([])
  })

  it('K-TIP gives tips that are all there is to reach the rest from', () => {
    const graph = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { maxLength: 12 }).map((rows) =>
      rows.map((picks, i) => {
        const ids = i === 0 || picks.length === 0 ? ['0'] : [...new Set(picks.map((pick) => `n${pick % i}`))]
        return entry(`n${i}`, ...ids)
      }),
    )
    fc.assert(
      fc.property(graph, (entries) => {
        const byHash = new Map(entries.map((one) => [one.hash, one]))
        const reached = new Set<string>()
        const walk = (hash: string): void => {
          reached.add(hash)
          for (const parent of byHash.get(hash)?.entry.parent_ids ?? []) if (parent !== '0') walk(parent)
        }
        for (const tip of tips(entries)) {
          expect(reached.has(tip.hash)).toBe(false)
          walk(tip.hash)
        }
        expect(reached.size).toBe(entries.length)
      }),
    )
  })

  it('K-LIMIT refuses nested text before it is built', () => {
    for (const text of [`${'['.repeat(500_000)}${']'.repeat(500_000)}`, '[{}]', '["a",["b"]]']) {
      expect(() => parsePassport(text)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_PASSPORT_MALFORMED' }),
      )
    }
  })
})
