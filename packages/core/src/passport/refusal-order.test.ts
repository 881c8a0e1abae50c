import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest'
import { chain, type EntryChanges, strings, trustIn, verdict } from '../../tests/support/signed.js'
import type { KeySource } from '../identity/key-source.js'
import type { SignedEntry } from '../jws/compact.js'
import { Passport } from './passport.js'
import { SignatureCache } from './signature-cache.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

const HOP1 = 'spiffe://kest.test/hop1'
const THREADS = ['auto', 'inline', 'pool'] as const

/** Roots of hop1, of which each can be told by the text of its payload. */
function roots(count: number, changes: EntryChanges = {}): SignedEntry[] {
  return Array.from(
    { length: count },
    (_, i) => chain({ operation: `entry ${i}.`, ...changes })[0] as SignedEntry,
  )
}

/** Well-formed, and not signed by anybody. */
function forged({ jws, hash }: SignedEntry): SignedEntry {
  const at = jws.lastIndexOf('.') + 20
  return { jws: `${jws.slice(0, at)}${jws[at] === 'A' ? 'B' : 'A'}${jws.slice(at + 1)}`, hash }
}

/** hop1's key, and how often it was taken to compute a signature with. */
function counted(): { readonly trust: KeySource; readonly computed: () => number } {
  const known = trustIn('hop1')
  let computed = 0
  const find: KeySource['find'] = (query) => {
    const [found] = known.find(query) as readonly { readonly key: never; readonly algorithms: never }[]
    if (found === undefined) return []
    const { algorithms } = found
    return [
      {
        algorithms,
        get key() {
          computed++
          return found.key
        },
      },
    ]
  }
  return { trust: { ...known, find }, computed: () => computed }
}

const verify = (entries: readonly SignedEntry[], options: Partial<VerifyOptions> = {}) =>
  verdict(verifyPassport(new Passport(strings(entries)), { trust: trustIn('hop1'), ...options }))

describe('what is done before a passport is refused', () => {
  let parse: MockInstance<typeof JSON.parse>
  beforeEach(() => {
    parse = vi.spyOn(JSON, 'parse')
  })
  afterEach(() => {
    parse.mockRestore()
  })
  const parsed = () => parse.mock.calls.filter(([text]) => text.includes('"operation":')).length

  it('K-LIMIT parses no payload of a principal that nobody knows', async () => {
    const entries = roots(3, { labels: { principal: 'spiffe://kest.test/stranger' } })
    expect(await verify(entries)).toMatchObject({ code: 'ERR_KEST_KEY_UNKNOWN', index: 0 })
    expect(parsed()).toBe(0)
  })

  it('K-LIMIT says whose entry it was that was not parsed', async () => {
    const [known, unknown] = [
      ...roots(1),
      ...roots(1, { labels: { principal: 'spiffe://kest.test/stranger' } }),
    ]
    const { entry_id } = JSON.parse(Buffer.from(unknown?.jws.split('.')[1] ?? '', 'base64url').toString())
    expect(await verify([known as SignedEntry, unknown as SignedEntry])).toMatchObject({
      code: 'ERR_KEST_KEY_UNKNOWN',
      index: 1,
      entryId: entry_id,
    })
  })

  it('takes for the principal nothing that merely looks like it', async () => {
    const labels = { principal: 'spiffe://kest.test/stranger' }
    const entries = [
      ...roots(1, { environment: { labels } }),
      ...roots(1, { metadata: { labels } }),
      ...roots(1, { labels: { 'a","principal":"x': '', note: '{"labels":{"principal":"x"}}' } }),
    ]
    expect(
      (await verifyPassport(new Passport(strings(entries)), { trust: trustIn('hop1') })).principals,
    ).toEqual([HOP1])
  })

  it.each(THREADS)(
    'K-LIMIT reads no second entry behind a large one that was not signed (%s)',
    async (threads) => {
      const entries = roots(8, { metadata: 'x'.repeat(6000) }).map(forged)
      expect(await verify(entries, { threads })).toMatchObject({ code: 'ERR_KEST_SIGNATURE', index: 0 })
      expect(parsed()).toBe(1)
    },
  )

  it('K-LIMIT computes one signature for entries that were never signed, and reads 8 KiB of them', async () => {
    const { trust, computed } = counted()
    expect(await verify(roots(60).map(forged), { trust })).toMatchObject({
      code: 'ERR_KEST_SIGNATURE',
      index: 0,
    })
    expect(computed()).toBe(1)
    expect(parsed()).toBeLessThanOrEqual(10)
  })

  it.each(THREADS)('K-LIMIT reads at most as much in vain as was proven, and 8 KiB (%s)', async (threads) => {
    const entries = roots(64)
    const bad = entries.map((entry, i) => (i < 20 ? entry : forged(entry)))
    expect(await verify(bad, { threads })).toMatchObject({ code: 'ERR_KEST_SIGNATURE', index: 20 })
    expect(parsed()).toBeLessThanOrEqual(20 + 20 + 10)
  })

  it('K-LIMIT K-CACHE computes one signature behind a prefix that is remembered', async () => {
    const cache = new SignatureCache()
    const { trust, computed } = counted()
    const entries = roots(20)
    await verifyPassport(new Passport(strings(entries)), { trust, cache })
    const before = computed()
    const replayed = [...entries, ...roots(40).map(forged)]
    expect(await verify(replayed, { trust, cache })).toMatchObject({ code: 'ERR_KEST_SIGNATURE', index: 20 })
    expect(computed() - before).toBe(1)
  })

  it('K-LIMIT reads no entry behind one without a key', async () => {
    const known = trustIn('hop1')
    const trust: KeySource = {
      name: 'late',
      generation: 0,
      kind: 'keys',
      find: async (query) => known.find(query),
    }
    const stranger = roots(1, {
      labels: { principal: 'spiffe://kest.test/stranger' },
      metadata: 'x'.repeat(9000),
    })
    expect(await verify([...stranger, ...roots(5)], { trust })).toMatchObject({
      code: 'ERR_KEST_KEY_UNKNOWN',
      index: 0,
    })
    expect(parsed()).toBe(1)
  })

  it('K-LIMIT K-INGRESS reads in mode tip nothing but the last entry until its signature holds', async () => {
    const { trust, computed } = counted()
    const entries = roots(4)
    const [a, b, c, last] = entries as [SignedEntry, SignedEntry, SignedEntry, SignedEntry]
    expect(await verify([a, b, c, forged(last)], { trust, mode: 'tip' })).toMatchObject({
      code: 'ERR_KEST_SIGNATURE',
      index: 3,
    })
    expect([parsed(), computed()]).toEqual([1, 1])
    const stranger = roots(1, { labels: { principal: 'spiffe://kest.test/stranger' } })
    expect(await verify([a, ...stranger], { trust, mode: 'tip' })).toMatchObject({
      code: 'ERR_KEST_KEY_UNKNOWN',
      index: 1,
    })
    expect([parsed(), computed()]).toEqual([1, 1])
    // What holds is not computed again.
    const chained = chain({}, {}, {})
    const verified = await verifyPassport(new Passport(strings(chained)), { trust, mode: 'tip' })
    expect(verified.entries.map(({ proven }) => proven)).toEqual([false, false, true])
    expect(computed()).toBe(2)
  })

  it('K-LIMIT parses nothing of an entry with certificates where none are judged', async () => {
    const [entry] = roots(1)
    const [, payload, signature] = (entry as SignedEntry).jws.split('.')
    const header = Buffer.from('{"alg":"ES256","typ":"JWS","x5c":["AAAA"]}').toString('base64url')
    const jws = `${header}.${payload}.${signature}`
    expect(await verify([{ jws, hash: '' }])).toMatchObject({
      code: 'ERR_KEST_CERTIFICATE_UNSUPPORTED',
      index: 0,
    })
    expect(parsed()).toBe(0)
  })
})
