import { describe, expect, it } from 'vitest'
import { parseEntry } from '../entry/parse.js'
import { createKeySource } from '../identity/keys.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { buildPassport } from '../testing/index.js'
import { EntriesVerifier, type EntryVerdict, verifyEntries } from './verify-entries.js'

async function built(): Promise<{
  parsed: ReturnType<typeof parseEntry>[]
  trust: ReturnType<typeof createKeySource>
}> {
  const { passport, trust } = await buildPassport([
    { by: 'gateway', origin: 'user_input' },
    { by: 'orders', addedTaints: ['pii'] },
    { by: 'payments' },
  ])
  return { parsed: passport.entries.map((jws) => parseEntry(jws, { limits: DEFAULT_LIMITS })), trust }
}

describe('verifyEntries', () => {
  it.each(['inline', 'pool'] as const)(
    'gives entries that hold their effective values (%s)',
    async (threads) => {
      const { parsed, trust } = await built()
      const verdicts = await verifyEntries(parsed, { trust, threads })
      expect(verdicts.map(({ verified }) => verified?.trustScore)).toEqual([40, 40, 40])
      expect(verdicts.map(({ verified }) => verified?.taints)).toEqual([[], ['pii'], ['pii']])
      expect(verdicts.every(({ failure }) => failure === null)).toBe(true)
    },
  )

  it('tells an entry that fails from those that build on it', async () => {
    const { parsed, trust } = await built()
    const [first, second, third] = parsed as [(typeof parsed)[0], (typeof parsed)[0], (typeof parsed)[0]]
    const verdicts = await verifyEntries([first, { ...second, signature: Buffer.alloc(64) }, third], {
      trust,
    })
    expect(verdicts.map(({ failure }) => failure?.code ?? null)).toEqual([null, 'ERR_KEST_SIGNATURE', null])
    expect(verdicts.map(({ verified }) => verified !== null)).toEqual([true, false, false])
  })

  it('checks the signature of an entry whose parent is missing', async () => {
    const { parsed, trust } = await built()
    const [verdict] = await verifyEntries(parsed.slice(2), { trust })
    expect(verdict).toMatchObject({ failure: null, verified: null })
  })

  it('knows no principal whose keys nobody gave', async () => {
    const { parsed } = await built()
    const verdicts = await verifyEntries(parsed, { trust: createKeySource({}) })
    expect(verdicts.map(({ failure }) => failure?.code)).toEqual(Array(3).fill('ERR_KEST_KEY_UNKNOWN'))
  })

  it('judges the same of entries that come a few after the others', async () => {
    const { parsed, trust } = await built()
    const [first, second, third] = parsed as [(typeof parsed)[0], (typeof parsed)[0], (typeof parsed)[0]]
    const forged = { ...second, signature: Buffer.alloc(64) }
    for (const entries of [
      [first, second, third],
      [first, forged, third],
      [second, third],
    ]) {
      const verifier = new EntriesVerifier({ trust })
      const some: EntryVerdict[] = []
      for (const one of entries) some.push(...(await verifier.verify([one])))
      expect(some).toEqual(await verifyEntries(entries, { trust }))
    }
  })

  it('judges entries of its own where it is made of another verifier, by the same options', async () => {
    const { parsed, trust } = await built()
    const first = new EntriesVerifier({ trust })
    expect(await first.verify(parsed)).toMatchObject([
      { failure: null },
      { failure: null },
      { failure: null },
    ])
    // What the other has seen is no parent here.
    const [second] = await new EntriesVerifier(first).verify(parsed.slice(1, 2))
    expect(second).toMatchObject({ failure: null, verified: null })
  })

  it('refuses options that are about a whole passport', async () => {
    const { parsed, trust } = await built()
    const options = { trust, mode: 'tip' }
    await expect(verifyEntries(parsed, options)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})
