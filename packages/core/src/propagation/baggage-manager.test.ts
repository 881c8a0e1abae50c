import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryOf, jwsLike, lineageOf } from '../../tests/support/lineage.js'
import { Lineage } from '../passport/lineage.js'
import { BaggageManager } from './baggage-manager.js'
import { MemoryCache } from './memory-cache.js'

const ALICE = { user: 'alice', agent: 'bot', task: 'order-7' }
const BOB = { ...ALICE, user: 'bob' }

describe('BaggageManager', () => {
  it('NF-INTER-02 TC-11 gives back any lineage, through whichever tier, beside any other baggage', () => {
    const manager = new BaggageManager({ cache: new MemoryCache({ maxEntries: 10_000 }) })
    const jws = fc.oneof(
      fc.stringMatching(/^[\w-]{0,9}\.[\w-]{0,200}\.[\w-]{86}$/),
      fc.nat(4000).map(jwsLike),
    )
    const chain = fc.oneof(
      ...[1, 8, 60].map((minLength) => fc.array(jws, { minLength, maxLength: minLength + 10 })),
    )
    const foreign = fc.array(fc.stringMatching(/^[a-j]{1,5}=[!-+.-~]{0,40}$/), { maxLength: 20 })
    const tiers = new Set<string | undefined>()
    fc.assert(
      fc.property(chain, foreign, (strings, others) => {
        const lineage = lineageOf(strings, ALICE)
        const header = manager.write(lineage, others) as string
        expect(header.length).toBeLessThanOrEqual(8192)
        expect(manager.read(header)).toEqual({
          passport: expect.objectContaining({ entries: strings }),
          tip: lineage.tips.map(({ hash }) => hash),
          identity: ALICE,
          foreign: others,
        })
        tiers.add(header.split('=')[0])
      }),
    )
    expect(tiers).toEqual(new Set(['kest.passport', 'kest.passport_z', 'kest.claim_check']))
  })

  it('writes in place of what was there, and only what others had written for an empty lineage', () => {
    const manager = new BaggageManager()
    const existing = ['a=1;p', 'kest.user=mallory,Kest.passport=["x","y"],b']
    const lineage = lineageOf(['a.b.c'])
    const tip = lineage.tips[0]?.hash
    expect(manager.write(lineage, existing)).toBe(
      `kest.passport=%5B%22a.b.c%22%5D,kest.chain_tip=${tip},a=1;p,b`,
    )
    expect(manager.write(Lineage.EMPTY, existing)).toBe('a=1;p,b')
    expect(manager.write(Lineage.EMPTY, 'kest.user=mallory')).toBeUndefined()
  })

  it('K-IDENT writes the identity that all tips state, and none when they differ', () => {
    const manager = new BaggageManager()
    const written = (...identities: (typeof ALICE | null)[]): unknown => {
      const entries = identities.map((identity, i) => entryOf(`a.b.${i}`, identity))
      const read = manager.read(manager.write(Lineage.of(entries, entries)) as string)
      return (read as { identity: unknown }).identity
    }
    expect(written(ALICE)).toEqual(ALICE)
    expect(written(ALICE, { ...ALICE })).toEqual(ALICE)
    expect(written(ALICE, BOB)).toEqual({})
    expect(written(ALICE, null)).toEqual({})
    expect(written(null, ALICE)).toEqual({})
    expect(written(null)).toEqual({})
  })

  it('reads no more than maxInboundLength', () => {
    const manager = new BaggageManager({ maxInboundLength: 10 })
    expect(() => manager.read('a=1,b=2,c=3')).toThrow(expect.objectContaining({ code: 'ERR_KEST_LIMIT' }))
  })

  it('answers later where the cache does', async () => {
    const stored = new MemoryCache()
    const manager = new BaggageManager({
      cache: {
        get: async (key) => stored.get(key),
        setIfAbsent: async (...args) => stored.setIfAbsent(...args),
      },
    })
    const strings = Array.from({ length: 60 }, () => jwsLike(500))
    const header = await manager.write(lineageOf(strings), 'a=1')
    const read = await manager.read(header)
    expect([read.passport?.entries, read.foreign]).toEqual([strings, ['a=1']])
  })
})
