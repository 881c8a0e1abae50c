import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseBaggage } from './baggage.js'
import { compress } from './compression.js'
import { MemoryCache } from './memory-cache.js'
import { type PropagationOptions, resolvePropagation } from './options.js'
import { type DecodedMembers, decodeMembers } from './restore.js'

const HASH = 'a'.repeat(64)
const HASH2 = 'b'.repeat(64)
const ID = '7f1c2a9e-1b2c-4d3e-8f4a-5b6c7d8e9f0a'
const OLD = '["old.old.old"]'
const NEW = '["new.new.new"]'

function decode(kest: Readonly<Record<string, string>>, options: PropagationOptions = {}): DecodedMembers {
  const decoded = decodeMembers(new Map(Object.entries(kest)), resolvePropagation(options))
  expect(decoded).not.toBeInstanceOf(Promise)
  return decoded as DecodedMembers
}

function codeOf(kest: Readonly<Record<string, string>>, options?: PropagationOptions): string {
  try {
    decode(kest, options)
    return 'none'
  } catch (error) {
    return (error as { code: string }).code
  }
}

function cacheWith(value: string): MemoryCache {
  const cache = new MemoryCache()
  cache.setIfAbsent(`kest:default:${ID}`, value, 1000)
  return cache
}

describe('decodeMembers', () => {
  it('finds nothing where there is nothing', () => {
    expect(decode({})).toEqual({ passport: null, tip: null, identity: {} })
    expect(decode({ 'kest.hop': 'x' })).toEqual({ passport: null, tip: null, identity: {} })
  })

  it('F-CP-02 restores a plain passport, its tips and who acts', () => {
    const { passport, tip, identity } = decode({
      'kest.passport': '["a.b.c", "d.e.f"]',
      'kest.chain_tip': `${HASH},${HASH2}`,
      'kest.user': 'alice',
      'kest.task': '',
    })
    expect(passport?.entries).toEqual(['a.b.c', 'd.e.f'])
    expect(tip).toEqual([HASH, HASH2])
    expect(identity).toEqual({ user: 'alice' })
  })

  it('F-PA-03 tells an empty passport from none', () => {
    expect(decode({ 'kest.passport': '[]' }).passport?.length).toBe(0)
  })

  it('F-CP-08 restores a compressed passport, in spite of a stale plain one', () => {
    const { passport } = decode({ 'kest.passport': OLD, 'kest.passport_z': compress(NEW) })
    expect(passport?.toString()).toBe(NEW)
  })

  it('F-CP-05 restores a stored passport, in spite of stale others', () => {
    const members = {
      'kest.passport': OLD,
      'kest.passport_z': compress(OLD),
      'kest.claim_check': ID,
      'kest.chain_tip': HASH,
    }
    expect(decode(members, { cache: cacheWith(NEW) }).passport?.toString()).toBe(NEW)
  })

  it('F-CP-05 waits for a cache that answers later', async () => {
    const cache = { get: async () => NEW, setIfAbsent: async () => true }
    const kest = new Map([
      ['kest.claim_check', ID],
      ['kest.chain_tip', HASH],
    ])
    const { passport } = await decodeMembers(kest, resolvePropagation({ cache }))
    expect(passport?.toString()).toBe(NEW)
  })

  it('K-CLAIM a claim check that names nothing is an error, whatever else there is', () => {
    const members = { 'kest.passport': OLD, 'kest.claim_check': ID, 'kest.chain_tip': HASH }
    expect(codeOf(members, { cache: new MemoryCache() })).toBe('ERR_KEST_CLAIM_UNKNOWN')
    expect(codeOf(members, { cache: cacheWith(NEW), namespace: 'other' })).toBe('ERR_KEST_CLAIM_UNKNOWN')
  })

  it('K-CLAIM a claim check without a cache to ask is an error', () => {
    expect(codeOf({ 'kest.passport': OLD, 'kest.claim_check': ID, 'kest.chain_tip': HASH })).toBe(
      'ERR_KEST_CACHE',
    )
  })

  it('K-CLAIM K-TIP a claim check without its tip is an error, before the cache is asked', () => {
    let asked = 0
    const get = (): string => {
      asked++
      return NEW
    }
    const cache = { get, setIfAbsent: () => true }
    expect(codeOf({ 'kest.claim_check': ID }, { cache })).toBe('ERR_KEST_TIP')
    expect(codeOf({ 'kest.claim_check': `${ID}x`, 'kest.chain_tip': HASH }, { cache })).toBe(
      'ERR_KEST_BAGGAGE',
    )
    expect(codeOf({ 'kest.claim_check': ID.toUpperCase(), 'kest.chain_tip': HASH }, { cache })).toBe(
      'ERR_KEST_BAGGAGE',
    )
    expect(asked).toBe(0)
  })

  it('K-CLAIM K-LIMIT what is read back is bounded and parsed like any other passport', () => {
    const members = { 'kest.claim_check': ID, 'kest.chain_tip': HASH }
    const bounded = { limits: { passportBytes: 20, entries: 1 } }
    expect(codeOf(members, { cache: cacheWith(`["${'x'.repeat(20)}"]`), ...bounded })).toBe('ERR_KEST_LIMIT')
    // Few characters, and too many bytes.
    expect(codeOf(members, { cache: cacheWith('["ööööööööö"]'), ...bounded })).toBe('ERR_KEST_LIMIT')
    expect(codeOf(members, { cache: cacheWith('["a","b"]'), ...bounded })).toBe('ERR_KEST_LIMIT')
    expect(codeOf(members, { cache: cacheWith('{"a":1}') })).toBe('ERR_KEST_PASSPORT_MALFORMED')
    expect(codeOf(members, { cache: cacheWith('') })).toBe('ERR_KEST_PASSPORT_MALFORMED')
  })

  it('K-TIP a tip without a passport is an error', () => {
    expect(codeOf({ 'kest.chain_tip': HASH })).toBe('ERR_KEST_TIP')
    expect(codeOf({ 'kest.chain_tip': HASH, 'kest.user': 'alice' })).toBe('ERR_KEST_TIP')
  })

  it.each([
    ['nothing', ''],
    ['upper case', HASH.toUpperCase()],
    ['63 digits', HASH.slice(1)],
    ['white space', `${HASH}, ${HASH2}`],
    ['an end of line', `${HASH}\n`],
    ['a trailing comma', `${HASH},`],
    ['a repeat', `${HASH},${HASH2},${HASH}`],
    ['a digest beside a hash', `~${HASH},${HASH2}`],
    ['a digest of 63 digits', `~${HASH.slice(1)}`],
  ])('K-TIP refuses %s for tips', (_, tip) => {
    expect(codeOf({ 'kest.passport': NEW, 'kest.chain_tip': tip })).toBe('ERR_KEST_BAGGAGE')
  })

  it.each([
    ['nothing', ''],
    ['no JSON', 'a.b.c'],
    ['an object', '{}'],
    ['null', 'null'],
    ['a number in it', '["a.b.c",7]'],
    ['text behind it', '["a.b.c"]x'],
  ])('NF-INTER-01 refuses %s for a passport', (_, text) => {
    expect(codeOf({ 'kest.passport': text })).toBe('ERR_KEST_PASSPORT_MALFORMED')
    expect(codeOf({ 'kest.passport_z': compress(text) })).toBe('ERR_KEST_PASSPORT_MALFORMED')
  })

  it('refuses a compressed passport that is not UTF-8', () => {
    const value = deflateSync(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])).toString('base64url')
    expect(codeOf({ 'kest.passport_z': value })).toBe('ERR_KEST_PASSPORT_MALFORMED')
  })

  it('K-LIMIT refuses a bomb, before it inflates further', () => {
    const value = compress(`["${'x'.repeat(2_000_000)}"]`)
    expect(codeOf({ 'kest.passport_z': value })).toBe('ERR_KEST_LIMIT')
  })

  it.each(['passport', 'passport_z'])(
    'K-LIMIT K-CLAIM holds %s to what a header can hold, and a claim check to more',
    (name) => {
      const value = (json: string) => (name === 'passport' ? json : compress(json))
      const inHeader = (json: string, limits = {}) => codeOf({ [`kest.${name}`]: value(json) }, { limits })
      const many = JSON.stringify(Array(65).fill('a.b.c'))
      const long = JSON.stringify(['x'.repeat(32_769)])
      const large = JSON.stringify(Array(9).fill('x'.repeat(15_000)))
      for (const json of [many, long, large]) {
        expect(inHeader(json)).toBe('ERR_KEST_LIMIT')
        const claim = { 'kest.claim_check': ID, 'kest.chain_tip': HASH }
        expect(codeOf(claim, { cache: cacheWith(json), limits: { entryBytes: 40_000 } })).toBe('none')
      }
      expect(inHeader(many, { headerEntries: 65 })).toBe('none')
      expect(inHeader(long, { headerEntryBytes: 40_000, entryBytes: 40_000 })).toBe('none')
      expect(inHeader(large, { headerPassportBytes: 200_000 })).toBe('none')
      // The smaller of two counts.
      expect(inHeader(many, { headerEntries: 65, entries: 64 })).toBe('ERR_KEST_LIMIT')
    },
  )

  it('throws nothing but KestError, whatever the members', () => {
    const key = fc.constantFrom('passport', 'passport_z', 'claim_check', 'chain_tip', 'user')
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.json().map(compress),
      fc.constantFrom(HASH, ID, NEW, randomUUID()),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value)), (members) => {
        const kest = Object.fromEntries(members.map(([name, text]) => [`kest.${name}`, text]))
        expect(codeOf(kest, { cache: cacheWith(OLD) })).toMatch(/^none$|^ERR_KEST_/)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('what the Python implementation writes', () => {
  const folder = new URL('../../tests/vectors/interop/', import.meta.url)
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))

  it('has vectors', () => {
    expect(names.length).toBeGreaterThanOrEqual(5)
  })

  it.each(names)('NF-INTER-02 K-RAW is read from %s', (name) => {
    const { baggage, passport } = JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
    const { kest, foreign } = parseBaggage(baggage)
    const decoded = decode(Object.fromEntries(kest))
    expect(decoded.passport?.entries).toEqual(passport)
    expect(decoded.tip).toHaveLength(1)
    expect(foreign).toEqual([])
  })
})
