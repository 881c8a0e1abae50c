import { describe, expect, it } from 'vitest'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { followReceipts } from './follow.js'
import { HeldReceipts } from './held-receipts.js'
import { takeReceipts } from './receipt-header.js'
import { isNonce } from './receipt-nonce.js'
import type { ReceiptOptions } from './receipt-options.js'

const hop1 = new MockIdentityProvider('hop1')
const hop2 = new MockIdentityProvider('hop2')
const trust = createKeySource(
  Object.fromEntries([hop1, hop2].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)
const url = new URL('http://hop2.test/orders')
const root = { operation: 'root', policy: 'p', origin: 'system' } as const
const next = { operation: 'next', policy: 'p' } as const

function kestOf(receipts: ReceiptOptions, more: Partial<KestOptions> = {}): Kest {
  return createKest({
    identity: hop1,
    engine: new MockPolicyEngine(),
    trust,
    logger: new RecordingLogger(),
    receipts,
    ...more,
  })
}

const from = { [url.origin]: hop2.getWorkloadId() }
const callee = createKest({
  identity: hop2,
  engine: new MockPolicyEngine(),
  trust,
  logger: new RecordingLogger(),
})

/** Sends one request from where it is called, and has hop2 record it with these taints. */
async function dispatched(kest: Kest, addedTaints: readonly string[] = []) {
  const { baggage, receipt } = await kest.outbound({ propagateTo: [url.origin] }).depart(undefined, url)
  const state = await callee.listener().receive({ headers: { baggage } })
  await callee.begin({ operation: 'GET /orders', policy: 'p', addedTaints }, { state })
  return { receipt, value: state.call?.receipt ?? '' }
}

describe('asking', () => {
  it('K-RECEIPT nothing is asked for out of scope, without a lineage, and for a client that does not ask', async () => {
    const kest = kestOf({ mode: 'accept', from })
    const outbound = kest.outbound({ propagateTo: [url.origin] })
    expect(await outbound.depart(undefined, url)).toEqual({ baggage: undefined, receipt: null })
    await (await kest.begin(root)).run(async () => {
      const elsewhere = new URL('http://elsewhere.test/')
      expect(await outbound.depart('theirs=1', elsewhere)).toEqual({ baggage: 'theirs=1', receipt: null })
      expect(await outbound.baggage(undefined, url)).not.toContain('kest.receipt')
      const headers: Record<string, string> = {}
      await kest.inject(headers, url)
      expect(headers['baggage']).not.toContain('kest.receipt')
      expect((await outbound.depart(undefined, url)).baggage).toMatch(/kest\.receipt=[A-Za-z0-9_-]{22}(,|$)/)
    })
  })

  it('K-RECEIPT where receipts are required, nothing is sent by a client that sees no answer', async () => {
    const kest = kestOf({ mode: 'require', from })
    const outbound = kest.outbound({ propagateTo: [url.origin] })
    expect(await outbound.baggage('theirs=1', url)).toBe('theirs=1')
    await (await kest.begin(root)).run(async () => {
      expect(await outbound.baggage('theirs=1', new URL('http://elsewhere.test/'))).toBe('theirs=1')
      expect(await outbound.baggage('theirs=1', url, null)).toBe('theirs=1')
      expect(() => outbound.baggage(undefined, url)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_RECEIPT' }),
      )
      const headers: Record<string, string> = {}
      await expect(kest.inject(headers, url)).rejects.toMatchObject({ code: 'ERR_KEST_RECEIPT' })
      expect(headers).toEqual({})
    })
  })

  it('K-RECEIPT options that are wrong are refused, each by its name', () => {
    const wrong: [unknown, string][] = [
      [{ mode: 'always', from }, 'receipts.mode'],
      [{ mode: 'accept' }, 'receipts.from'],
      [{ mode: 'accept', from: {} }, 'receipts.from'],
      [{ mode: 'accept', from: { 'http://hop2.test/path': 'a' } }, 'receipts.from'],
      [{ mode: 'accept', from: { [url.origin]: [] } }, 'receipts.from'],
      [{ mode: 'accept', from: { [url.origin]: 7 } }, 'receipts.from'],
      [{ mode: 'accept', from, follow: 'yes' }, 'receipts.follow'],
      [{ mode: 'accept', from, trustDomains: {} }, 'receipts.trustDomains'],
      [{ mode: 'accept', from, form: {} }, 'form'],
    ]
    for (const [receipts, named] of wrong) expect(() => kestOf(receipts as ReceiptOptions)).toThrow(named)
    expect(() => kestOf({ mode: 'accept', from }, { trust: [] })).toThrow('trust material')
    expect(() => kestOf({ mode: 'off' })).not.toThrow()
  })
})

describe('taking', () => {
  it('K-RECEIPT a receipt is looked at once', async () => {
    const kest = kestOf({ mode: 'require', from })
    await (await kest.begin(root)).run(async () => {
      const { receipt, value } = await dispatched(kest)
      await receipt?.arrived([value])
      expect(receipt?.arrived([])).toBeUndefined()
      await (await kest.begin(next)).run(() => {})
    })
  })

  it('K-RECEIPT keys that nobody answers for in time fail the call, and hold it no longer', async () => {
    const never = {
      name: 'never',
      kind: 'keys' as const,
      generation: 0,
      find: () => new Promise<never>(() => {}),
    }
    const kest = kestOf({ mode: 'accept', from }, { trust: never, identityTimeoutMs: 20 })
    await (await kest.begin(root)).run(async () => {
      const { receipt, value } = await dispatched(kest)
      await expect(receipt?.arrived([value])).rejects.toMatchObject({
        code: 'ERR_KEST_RECEIPT',
        cause: { code: 'ERR_KEST_KEYS_UNAVAILABLE' },
      })
    })
  })

  it('K-RECEIPT what comes when its operation is over is named, and followed, by what goes on around it', async () => {
    const kest = kestOf({ mode: 'accept', from, follow: true })
    await (await kest.begin(root)).run(async () => {
      let late: Awaited<ReturnType<typeof dispatched>> | undefined
      await (await kest.begin(next)).run(async () => {
        late = await dispatched(kest, ['late'])
      })
      await late?.receipt?.arrived([late.value])
      const { entry } = (await kest.begin(next)).entry
      expect(entry.labels['kest.receipts']).toMatch(/^[0-9a-f]{64}$/)
      expect(entry.added_taints).toEqual(['late'])
    })
  })

  it('K-RECEIPT with follow, every branch that begins meanwhile follows, and what joined is followed once', async () => {
    const kest = kestOf({ mode: 'accept', from, follow: true })
    await (await kest.begin(root)).run(async () => {
      const { receipt, value } = await dispatched(kest, ['theirs'])
      await receipt?.arrived([value])
      const branches = await Promise.all([kest.begin(next), kest.begin(next)])
      expect(branches.map(({ entry }) => entry.entry.taints)).toEqual([['theirs'], ['theirs']])
      for (const branch of branches) await branch.run(() => {})
      const cleaned = await kest.begin({ ...next, sanitizer: true, removedTaints: ['theirs'] })
      await cleaned.run(() => {})
      expect((await kest.begin(next)).entry.entry.taints).toEqual([])
    })
  })

  it('K-RECEIPT an entry that is refused gives back the receipts that it would have named', async () => {
    let allows = true
    const kest = kestOf({ mode: 'accept', from }, { engine: new MockPolicyEngine(() => allows) })
    await (await kest.begin(root)).run(async () => {
      const { receipt, value } = await dispatched(kest)
      await receipt?.arrived([value])
      allows = false
      await expect(kest.begin(next)).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
      allows = true
      expect((await kest.begin(next)).entry.entry.labels['kest.receipts']).toMatch(/^[0-9a-f]{64}$/)
    })
  })
})

describe('what a callee cannot make too much', () => {
  it('K-RECEIPT of taints 32 are taken over, and one stands for the rest', () => {
    const many = Array.from({ length: 40 }, (_, n) => `t${String(n).padStart(2, '0')}`)
    const { addedTaints } = followReceipts([{ trustScore: 80, taints: many }], [], [])
    expect(addedTaints).toEqual([...many.slice(0, 32), 'kest.receipt-taints'])
    expect(followReceipts([{ trustScore: 80, taints: ['a'] }], ['a'], [])).toEqual({
      trustScore: 80,
      addedTaints: [],
    })
  })

  it('K-RECEIPT however often it is called, what follows has at most 129 taints, and a few KiB of them', () => {
    let inherited: readonly string[] = []
    for (let call = 0; call < 50; call++) {
      const taints = Array.from({ length: 256 }, (_, n) => `${call}-${n}`)
      inherited = [...inherited, ...followReceipts([{ trustScore: 100, taints }], inherited, []).addedTaints]
    }
    expect(inherited.length).toBeLessThanOrEqual(129)
    let long: readonly string[] = []
    for (let call = 0; call < 50; call++) {
      const taints = [`${call}`.repeat(1_000)]
      long = [...long, ...followReceipts([{ trustScore: 100, taints }], long, []).addedTaints]
    }
    expect(long.join('').length).toBeLessThan(5_000)
    expect(long.at(-1)).toBe('kest.receipt-taints')
  })

  it('K-RECEIPT a frame holds 255 receipts, and says when there is no room for another', () => {
    const held = new HeldReceipts()
    const kept = Array.from({ length: 300 }, (_, n) => held.hold(String(n)))
    expect(kept.filter(Boolean)).toHaveLength(255)
    expect(held.take(2)).toEqual(['0', '1'])
    held.giveBack(['0', '1'])
    expect(held.take(300)).toHaveLength(255)
  })
})

describe('what a frame is to follow', () => {
  it('K-RECEIPT is kept together where it came with many receipts, with the least trust and no taint dropped in silence', () => {
    const held = new HeldReceipts()
    for (let n = 0; n < 10_000; n++)
      held.follow([{ trustScore: n === 500 ? 7 : 100, taints: [`t${n}`, 'each'] }])
    expect(held.followed.length).toBeLessThanOrEqual(32)
    expect(held.followed.flatMap(({ taints }) => taints).length).toBeLessThan(100)
    const { trustScore, addedTaints } = followReceipts(held.followed, [], [])
    expect(trustScore).toBe(7)
    expect(addedTaints).toContain('each')
    expect(addedTaints).toContain('kest.receipt-taints')
    held.joined(held.followed)
    expect(held.followed).toEqual([])
  })
})

describe('headers', () => {
  it('K-RECEIPT are taken out of every form, in any case, and nothing that is given is changed', () => {
    const record = { 'Kest-Receipt': ['a', 'b'], vary: 'x' }
    expect(takeReceipts(record)).toEqual({ headers: { vary: 'x' }, values: ['a', 'b'] })
    expect(record).toHaveProperty('Kest-Receipt')
    const bytes = ['vary', 'x', 'KEST-RECEIPT', 'a'].map((text) => Buffer.from(text))
    expect(takeReceipts(bytes)).toEqual({ headers: bytes.slice(0, 2), values: ['a'] })
    expect(
      takeReceipts([
        ['kest-receipt', 'a'],
        ['vary', 'kest-receipt'],
      ]),
    ).toEqual({
      headers: [['vary', 'kest-receipt']],
      values: ['a'],
    })
    const none = ['vary', 'kest-receipt']
    expect(takeReceipts(none).headers).toBe(none)
    for (const nothing of [null, undefined, 'kest-receipt', 7])
      expect(takeReceipts(nothing)).toEqual({ headers: nothing, values: [] })
  })

  it('K-RECEIPT name a request by 128 bits in their one spelling', () => {
    expect(isNonce('A'.repeat(22))).toBe(true)
    for (const text of ['', 'A'.repeat(21), 'A'.repeat(23), `${'A'.repeat(21)}B`, `${'A'.repeat(21)}=`])
      expect(isNonce(text)).toBe(false)
  })
})
