import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryOf, jwsLike, lineageOf } from '../../tests/support/lineage.js'
import { KestConfigError } from '../errors.js'
import { Lineage } from '../passport/lineage.js'
import type { CacheProvider } from './cache.js'
import { MemoryCache } from './memory-cache.js'
import { type PropagationOptions, resolvePropagation } from './options.js'
import { type EncodedLineage, encodeMembers, type TierInput } from './tiers.js'

const alone = { foreignLength: 0, identity: null }

/** Answers at once, or the test fails. */
function encode(
  lineage: Lineage,
  options: PropagationOptions = {},
  input: Partial<typeof alone> = {},
): Map<string, string> {
  return new Map(encodeAtOnce(lineage, options, input).members)
}

function encodeAtOnce(
  lineage: Lineage,
  options: PropagationOptions = {},
  input: Partial<TierInput> = {},
): EncodedLineage {
  const encoded = encodeMembers(lineage, { ...alone, ...input }, resolvePropagation(options))
  expect(encoded).not.toBeInstanceOf(Promise)
  return encoded as EncodedLineage
}

/** A chain of one whose tier 1 member has exactly this many characters. */
function lineageOfMember(length: number): Lineage {
  return lineageOf(['e'.repeat(length - 'kest.passport=%5B%22%22%5D'.length)])
}

/** Incompressible, and so too long for tiers 1 and 2. */
const long = lineageOf(Array.from({ length: 60 }, () => jwsLike(600)))

describe('encodeMembers', () => {
  it('F-CP-01 NF-INTER-03 writes a small passport as a percent-encoded JSON array, with its tip', () => {
    const lineage = lineageOf(['a.b.c', 'd.e.f'])
    const members = encode(lineage)
    expect([...members.keys()]).toEqual(['kest.passport', 'kest.chain_tip'])
    expect(members.get('kest.passport')).toBe('%5B%22a.b.c%22%2C%22d.e.f%22%5D')
    expect(members.get('kest.chain_tip')).toBe(lineage.tips[0]?.hash)
  })

  it.each([
    ['entries', Array(65).fill('a.b.c'), { headerEntries: 65 }],
    ['bytes of an entry', ['a'.repeat(16_385)], { headerEntryBytes: 20_000, entryBytes: 20_000 }],
    ['bytes', Array(9).fill('a'.repeat(15_000)), { headerPassportBytes: 200_000 }],
  ] as const)(
    'K-LIMIT writes no passport into a header that has more %s than are read there',
    (_, strings, more) => {
      const lineage = lineageOf(strings)
      const limits = { entryBytes: 20_000 }
      expect(() => encode(lineage, { limits })).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_TOO_LARGE' }),
      )
      expect([...encode(lineage, { limits, cache: new MemoryCache() }).keys()]).toContain('kest.claim_check')
      expect([...encode(lineage, { limits: more }).keys()]).not.toContain('kest.claim_check')
    },
  )

  it('K-TIP names all tips, separated by encoded commas', () => {
    const entries = ['a.b.c', 'd.e.f'].map((jws) => entryOf(jws))
    const members = encode(Lineage.of(entries, entries))
    expect(members.get('kest.chain_tip')).toBe(entries.map(({ hash }) => hash).join('%2C'))
  })

  it('K-TIPS names up to as many tips as one member holds, and their digest from there on', () => {
    const many = (count: number): Lineage => {
      const entries = Array.from({ length: count }, (_, i) => entryOf(`a.b.${i}`))
      return Lineage.of(entries, entries)
    }
    const listed = encode(many(60)).get('kest.chain_tip') as string
    expect(listed.split('%2C')).toHaveLength(60)
    const lineage = many(61)
    const hashes = lineage.tips.map(({ hash }) => hash).sort()
    const digest = createHash('sha256').update(hashes.join(',')).digest('hex')
    expect(encode(lineage).get('kest.chain_tip')).toBe(`~${digest}`)
  })

  it('K-TIPS names their digest where the list fits its member, and not the header with everything else', () => {
    const entries = Array.from({ length: 50 }, () => entryOf(jwsLike(600)))
    const lineage = Lineage.of(entries, entries)
    const cache = new MemoryCache()
    expect(encode(lineage, { cache }).get('kest.chain_tip')?.split('%2C')).toHaveLength(50)
    const beside = encode(lineage, { cache }, { foreignLength: 5_000 })
    expect(beside.get('kest.chain_tip')).toMatch(/^~[0-9a-f]{64}$/)
  })

  it('says how the passport travels, and how much of the tightest bound it takes', () => {
    expect(encodeAtOnce(lineageOf(['a.b.c']))).toMatchObject({ tier: 'plain', share: 1 / 64 })
    const compressed = encodeAtOnce(lineageOf(Array.from({ length: 4 }, () => jwsLike(1500))))
    const length = 'kest.passport_z='.length + (compressed.members[0]?.[1].length ?? 0)
    expect(compressed).toMatchObject({ tier: 'compressed' })
    expect(compressed.share).toBeGreaterThanOrEqual(length / 4096)
    expect(encodeAtOnce(long, { cache: new MemoryCache() })).toMatchObject({ tier: 'claim_check', share: 0 })
  })

  it('F-CP-07 compresses what is too long as it is, without padding', () => {
    const lineage = lineageOf(Array.from({ length: 4 }, () => jwsLike(1500)))
    const value = encode(lineage).get('kest.passport_z') as string
    expect(value).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(inflateSync(Buffer.from(value, 'base64url')).toString()).toBe(JSON.stringify(lineage.strings()))
  })

  it('F-CP-04 TC-11 stores what fits no header and sends its id', () => {
    const cache = new MemoryCache()
    const members = encode(long, { cache, namespace: 'shop' })
    expect([...members.keys()]).toEqual(['kest.claim_check', 'kest.chain_tip'])
    expect(cache.get(`kest:shop:${members.get('kest.claim_check')}`)).toBe(JSON.stringify(long.strings()))
  })

  it.each([
    ['fits tier 1 at exactly maxMemberLength', 4096, {}, 0, 'kest.passport'],
    ['compresses one character above it', 4097, {}, 0, 'kest.passport_z'],
    ['follows a lower bound', 101, { maxMemberLength: 100 }, 0, 'kest.passport_z'],
    ['follows a higher bound', 6000, { maxMemberLength: 6000 }, 0, 'kest.passport'],
    // 79 characters of tip, and two commas.
    ['fills the header to exactly maxHeaderLength', 4096, {}, 8192 - 4096 - 79 - 2, 'kest.passport'],
    ['counts what the header holds already', 4096, {}, 8192 - 4096 - 79 - 1, 'kest.passport_z'],
    ['counts no comma where there is nothing else', 4000, { maxHeaderLength: 4080 }, 0, 'kest.passport'],
    ['counts its own comma', 4000, { maxHeaderLength: 4079 }, 0, 'kest.passport_z'],
  ] as const)('K-SIZE %s', (_, length, options, foreignLength, tier) => {
    const members = encode(lineageOfMember(length), options, { foreignLength })
    expect([...members.keys()][0]).toBe(tier)
    const { maxMemberLength, maxHeaderLength } = resolvePropagation(options)
    const written = [...members].map(([key, value]) => `${key}=${value}`)
    expect(Math.max(...written.map((member) => member.length))).toBeLessThanOrEqual(maxMemberLength)
    expect(written.join(',').length + (foreignLength && foreignLength + 1)).toBeLessThanOrEqual(
      maxHeaderLength,
    )
  })

  it('K-SIZE takes the first tier that fits and never exceeds a bound, whatever the lineage', () => {
    const strings = fc.array(fc.string({ unit: 'binary', maxLength: 400 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(
        strings,
        fc.nat(3000),
        fc.integer({ min: 60, max: 2000 }),
        (jws, foreignLength, maxMemberLength) => {
          const options = {
            maxMemberLength: Math.max(maxMemberLength, 79),
            maxHeaderLength: 3200,
            cache: new MemoryCache(),
          }
          const lineage = lineageOf(jws)
          const plain = `kest.passport=${encodeURIComponent(JSON.stringify(jws))}`
          const taken = 80 + (foreignLength && foreignLength + 1)
          const room = Math.min(options.maxMemberLength, options.maxHeaderLength - taken)
          let members: Map<string, string>
          try {
            members = encode(lineage, options, { foreignLength })
          } catch (error) {
            expect(error).toMatchObject({ code: 'ERR_KEST_TOO_LARGE' })
            expect(room).toBeLessThan('kest.claim_check='.length + 36)
            return
          }
          const [key, value] = [...members][0] as [string, string]
          expect(`${key}=${value}`.length).toBeLessThanOrEqual(room)
          expect(key === 'kest.passport').toBe(plain.length <= room)
          if (key === 'kest.passport') expect(`${key}=${value}`).toBe(plain)
        },
      ),
    )
  })

  it('K-SIZE refuses to write what fits nowhere when there is no cache, so that the request is not sent', () => {
    expect(() => encode(long)).toThrow(KestConfigError)
    expect(() => encode(long)).toThrow(expect.objectContaining({ code: 'ERR_KEST_TOO_LARGE' }))
  })

  it('K-SIZE refuses when the header of others leaves no room even for a claim check', () => {
    const cache = new MemoryCache()
    // 79 of tip, 53 of claim check, two commas.
    expect(encode(long, { cache }, { foreignLength: 8192 - 134 }).has('kest.claim_check')).toBe(true)
    const overfull = (): unknown => encode(long, { cache }, { foreignLength: 8192 - 133 })
    expect(overfull).toThrow(expect.objectContaining({ code: 'ERR_KEST_TOO_LARGE' }))
    expect(cache.stats().entries).toBe(1)
  })

  it('K-SIZE refuses tips or an identity that are too long, rather than leave them out', () => {
    const identity = { user: 'u'.repeat(4090), agent: null, task: null }
    const input = { foreignLength: 0, identity }
    const options = resolvePropagation()
    expect(() => encodeMembers(lineageOf(['a.b.c']), input, options)).toThrow(/kest\.user/)
  })

  it('K-LIMIT stores nothing that a reader with the same limits would refuse', () => {
    const cache = new MemoryCache()
    const options = { cache, limits: { passportBytes: 40_000 } }
    expect(() => encode(long, options)).toThrow(expect.objectContaining({ code: 'ERR_KEST_TOO_LARGE' }))
    expect(cache.stats().entries).toBe(0)
  })

  it.each([['"'], ['\\'], ['é']])('K-RAW packs what is no compact string, such as %j, as it is', (text) => {
    const strings = ['a.b.c', `d.${text}.f`, text]
    const packed = encode(lineageOf(strings), { encoding: 'compressed' }).get('kest.passport_z') as string
    expect(inflateSync(Buffer.from(packed, 'base64url')).toString()).toBe(JSON.stringify(strings))
  })

  it('K-RAW writes tier 2 only when told so, however small the passport', () => {
    expect([...encode(lineageOf(['a.b.c']), { encoding: 'compressed' }).keys()][0]).toBe('kest.passport_z')
  })

  it('writes who acts, without what is not stated', () => {
    const identity = { user: 'alice-1.b_c~d', agent: null, task: '' }
    const { members } = encodeAtOnce(lineageOf(['a.b.c']), {}, { identity })
    expect(members.slice(2)).toEqual([['kest.user', 'alice-1.b_c~d']])
  })

  it.each([
    'alice@example.org',
    'Alice Smith',
    'openid profile',
    'a+b',
    'a%20b',
    'Jörg',
    'a,b',
    '\udc00',
    '\n',
  ])(
    'K-RELAYED leaves out %j, which relays re-encode each in its own way, and writes the others',
    (value) => {
      const identity = { user: value, agent: 'crawler', task: value }
      const { members } = encodeAtOnce(lineageOf(['a.b.c']), {}, { identity })
      expect(members.slice(2)).toEqual([['kest.agent', 'crawler']])
    },
  )

  it('writes nothing for an empty lineage', () => {
    const identity = { user: 'alice', agent: null, task: null }
    expect(encodeAtOnce(Lineage.EMPTY, {}, { identity })).toEqual({ members: [], tier: null, share: 0 })
  })
})

describe('fan-out', () => {
  it('encodes a lineage once, and again when it has grown', () => {
    const lineage = lineageOf([jwsLike(1500), jwsLike(1500), jwsLike(1500)])
    let encodings = 0
    const strings = lineage.strings.bind(lineage)
    lineage.strings = () => {
      encodings++
      return strings()
    }
    const first = encode(lineage)
    for (let i = 0; i < 10; i++) expect(encode(lineage)).toEqual(first)
    expect(encodings).toBe(1)
    expect(encode(lineage.append(entryOf('a.b.c')))).not.toEqual(first)
  })

  it('stores a claim check once for a burst of requests, and anew before it gets old', async () => {
    let now = 0
    const stored: string[] = []
    const cache: CacheProvider = {
      get: () => null,
      setIfAbsent: async (key) => stored.push(key) > 0,
    }
    const options = resolvePropagation({ cache, clock: { now: () => now } })
    const burst = await Promise.all(Array.from({ length: 5 }, () => encodeMembers(long, alone, options)))
    expect(new Set(burst.map(({ members }) => members[0]?.[1])).size).toBe(1)
    expect(stored).toHaveLength(1)
    now = 60_000
    await encodeMembers(long, alone, options)
    expect(stored).toHaveLength(2)
    await encodeMembers(
      long,
      alone,
      resolvePropagation({ cache, namespace: 'other', clock: { now: () => now } }),
    )
    expect(stored).toHaveLength(3)
  })

  it('K-CLAIM tries again after a cache that failed', async () => {
    const lineage = lineageOf(long.strings())
    let up = false
    const cache: CacheProvider = {
      get: () => null,
      setIfAbsent: async () => {
        if (!up) throw new Error('connection refused')
        return true
      },
    }
    const options = resolvePropagation({ cache })
    await expect(encodeMembers(lineage, alone, options)).rejects.toMatchObject({ code: 'ERR_KEST_CACHE' })
    up = true
    expect((await encodeMembers(lineage, alone, options)).members[0]?.[0]).toBe('kest.claim_check')
  })
})
