import { describe, expect, it } from 'vitest'
import { chain, entryWith, failure, sign, strings, trustIn, verdict } from '../../tests/support/signed.js'
import { KestError } from '../errors.js'
import type { KeySource, VerificationKey } from '../identity/key-source.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { SignedEntry } from '../jws/compact.js'
import { Passport } from './passport.js'
import { SignatureCache } from './signature-cache.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

const entries = chain({ by: 'hop1' }, { by: 'hop2' }, { by: 'hop3' })
const passport = new Passport(strings(entries))
const everyone = trustIn('hop1', 'hop2', 'hop3')

/** A source whose answer, and generation, can be changed. */
function changing(initial: KeySource = everyone): KeySource & { generation: number; now: KeySource } {
  return {
    name: 'changing',
    kind: 'keys',
    generation: 1,
    now: initial,
    find(query) {
      return this.now.find(query)
    },
  }
}

const verify = (trust: KeySource, cache: SignatureCache, options: Partial<VerifyOptions> = {}) =>
  verifyPassport(passport, { trust, cache, ...options })

describe('K-CACHE', () => {
  it.each(['inline', 'pool'] as const)(
    'remembers signatures that held, and uses what it remembers (%s)',
    async (threads) => {
      const cache = new SignatureCache()
      const trust = changing()
      await verify(trust, cache, { threads })
      expect(cache.size).toBe(3)
      // Only a signature that is not computed again passes with another key, which is what the generation is for.
      const wrong = trustIn('other')
      trust.now = { ...wrong, find: () => wrong.find({ principal: 'spiffe://kest.test/other' } as never) }
      expect((await verify(trust, cache, { threads })).principals).toHaveLength(3)
      trust.generation++
      expect((await failure(verify(trust, cache, { threads }))).code).toBe('ERR_KEST_SIGNATURE')
    },
  )

  it('remembers nothing of what did not hold', async () => {
    const cache = new SignatureCache()
    const { jws } = entries[2] as SignedEntry
    const forged = `${jws.slice(0, -6)}AAAAAA`
    const broken = new Passport([...strings(entries).slice(0, 2), forged])
    for (const threads of ['inline', 'pool'] as const) {
      for (let i = 0; i < 2; i++) {
        expect((await failure(verifyPassport(broken, { trust: everyone, cache, threads }))).code).toBe(
          'ERR_KEST_SIGNATURE',
        )
      }
    }
    expect(cache.size).toBe(2)
  })

  it('asks for the key every time, so that a certificate can expire', async () => {
    const cache = new SignatureCache()
    const trust = changing()
    await verify(trust, cache)
    trust.now = {
      ...everyone,
      find: () => {
        throw new KestError('ERR_KEST_CERTIFICATE', 'expired')
      },
    }
    expect((await failure(verify(trust, cache))).code).toBe('ERR_KEST_CERTIFICATE')
    trust.now = trustIn()
    expect((await failure(verify(trust, cache))).code).toBe('ERR_KEST_KEY_UNKNOWN')
  })

  it('keeps sources apart', async () => {
    const cache = new SignatureCache()
    await verify(everyone, cache)
    const wrong = trustIn('other')
    const other: KeySource = {
      ...wrong,
      knows: () => true,
      find: () => wrong.find({ principal: 'spiffe://kest.test/other' } as never),
    }
    expect((await failure(verify(other, cache))).code).toBe('ERR_KEST_SIGNATURE')
  })

  it('remembers nothing under a state that ended while it was asked', async () => {
    const cache = new SignatureCache()
    const trust = changing()
    trust.now = {
      ...everyone,
      find: async (query) => {
        trust.generation++
        return everyone.find(query)
      },
    }
    await verify(trust, cache)
    expect(cache.size).toBe(0)
  })

  it('does not use what it remembers of a state that ended while it was asked', async () => {
    const cache = new SignatureCache()
    const trust = changing()
    const one = (): Promise<unknown> =>
      verifyPassport(new Passport(strings(entries.slice(0, 1))), { trust, cache })
    await one()
    const wrong = trustIn('other')
    trust.now = {
      ...everyone,
      find: async () => {
        trust.generation++
        return wrong.find({ principal: 'spiffe://kest.test/other' } as never)
      },
    }
    expect((await failure(one())).code).toBe('ERR_KEST_SIGNATURE')
  })

  it('checks everything else again: tips, links, limits, what occurs twice', async () => {
    const cache = new SignatureCache()
    await verify(everyone, cache)
    const [one, two, last] = strings(entries) as [string, string, string]
    const refused = async (list: readonly string[], options: Partial<VerifyOptions> = {}) =>
      (await verdict(verifyPassport(new Passport(list), { trust: everyone, cache, ...options }))).code
    expect(await refused([one, two], { tip: entries[2]?.hash as string })).toBe('ERR_KEST_TIP')
    expect(await refused([one, last])).toBe('ERR_KEST_PARENT_UNKNOWN')
    expect(await refused([one, two, two])).toBe('ERR_KEST_DUPLICATE')
    expect(await refused([one, two, last], { limits: { entries: 2 } })).toBe('ERR_KEST_LIMIT')
    expect(await refused([one, two, last], { limits: { nesting: 1 } })).toBe('ERR_KEST_LIMIT')
  })

  it('K-ALG checks the algorithm again', async () => {
    const cache = new SignatureCache()
    const trust = changing()
    await verify(trust, cache)
    trust.now = {
      ...everyone,
      find: (query) =>
        (everyone.find(query) as readonly VerificationKey[]).map((key) => ({
          ...key,
          algorithms: ['ES256'],
        })),
    }
    expect((await failure(verify(trust, cache))).code).toBe('ERR_KEST_ALG')
  })

  it('does not take a proven tip for a proven ancestor', async () => {
    const cache = new SignatureCache()
    const verified = await verify(everyone, cache, { mode: 'tip' })
    expect(verified.entries.map(({ proven }) => proven)).toEqual([false, false, true])
    expect(cache.size).toBe(1)
  })

  it('K-LIMIT holds so many, and forgets what was not used for longest', () => {
    const cache = new SignatureCache({ max: 2 })
    cache.add(everyone, 0, 'a')
    cache.add(everyone, 0, 'b')
    expect(cache.has(everyone, 0, 'a')).toBe(true)
    cache.add(everyone, 0, 'c')
    expect(cache.size).toBe(2)
    expect(['a', 'b', 'c'].map((hash) => cache.has(everyone, 0, hash))).toEqual([true, false, true])
    cache.add(everyone, 0, 'a')
    expect(cache.size).toBe(2)
    cache.clear()
    expect(cache.size).toBe(0)
  })

  it('answers for the source and the generation under which an entry held last', () => {
    const cache = new SignatureCache()
    cache.add(everyone, 0, 'a')
    const other = changing()
    expect([cache.has(other, 0, 'a'), cache.has(everyone, 1, 'a'), cache.has(everyone, 0, 'a')]).toEqual([
      false,
      false,
      true,
    ])
    cache.add(other, 1, 'a')
    expect([cache.has(everyone, 0, 'a'), cache.has(other, 1, 'a'), cache.size]).toEqual([false, true, 1])
  })

  it.each([0, -1, 1.5, Number.NaN, '5'])('refuses a size of %j', async (max) => {
    expect((await failure(() => new SignatureCache({ max: max as number }))).code).toBe('ERR_KEST_CONFIG')
  })

  it('is not fooled by an entry of the same payload under another signature', async () => {
    const cache = new SignatureCache()
    const entry = entryWith({ labels: { principal: 'spiffe://kest.test/hop1' } })
    const right = sign(entry, new MockIdentityProvider('hop1').current())
    const wrong = sign(entry, new MockIdentityProvider('hop2').current())
    const one = (jws: string) => verifyPassport(new Passport([jws]), { trust: everyone, cache })
    await one(right.jws)
    const grafted = [...right.jws.split('.').slice(0, 2), wrong.jws.split('.')[2]].join('.')
    expect((await failure(one(grafted))).code).toBe('ERR_KEST_SIGNATURE')
  })
})
