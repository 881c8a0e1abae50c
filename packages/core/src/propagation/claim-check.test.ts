import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { KestError } from '../errors.js'
import { resolveLimits } from '../limits.js'
import type { CacheProvider } from './cache.js'
import { type ClaimStore, isClaimCheck, resolveClaim, storeClaim } from './claim-check.js'
import { MemoryCache } from './memory-cache.js'

function storeOf(cache: Partial<CacheProvider>): ClaimStore {
  const whole: CacheProvider = { get: () => null, setIfAbsent: () => true, ...cache }
  return {
    cache: whole,
    namespace: 'shop',
    claimTtlMs: 1000,
    cacheTimeoutMs: 60_000,
    limits: resolveLimits({ passportBytes: 100 }),
  }
}

describe('claim check', () => {
  it('TC-11 K-CLAIM stores under the namespace and a fresh UUID v4, and reads it back until its time is over', () => {
    let now = 5
    const cache = new MemoryCache({ clock: { now: () => now } })
    const store = { ...storeOf({}), cache }
    const id = storeClaim('["a.b.c"]', store) as string
    expect(isClaimCheck(id)).toBe(true)
    expect(storeClaim('["a.b.c"]', store)).not.toBe(id)
    expect(cache.get(`kest:shop:${id}`)).toBe('["a.b.c"]')
    expect(resolveClaim(id, store)).toBe('["a.b.c"]')
    now = 1005
    expect(() => resolveClaim(id, store)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CLAIM_UNKNOWN' }))
  })

  it('K-CLAIM is stored before its id is known to anybody', async () => {
    let stored = false
    const setIfAbsent = async (): Promise<boolean> => {
      await delay(5)
      stored = true
      return true
    }
    await storeClaim('[]', storeOf({ setIfAbsent }))
    expect(stored).toBe(true)
  })

  it('K-CLAIM never overwrites: an id that is taken is drawn again, a few times', () => {
    const keys: string[] = []
    const taken = (times: number) => ({ setIfAbsent: (key: string) => keys.push(key) > times })
    expect(storeClaim('[]', storeOf(taken(2)))).toBe(keys[2]?.slice('kest:shop:'.length))
    expect(new Set(keys).size).toBe(3)
    expect(() => storeClaim('[]', storeOf(taken(99)))).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CACHE' }),
    )
    expect(keys).toHaveLength(6)
  })

  const failures: readonly (readonly [string, Partial<CacheProvider>])[] = [
    ['throws', { get: fail, setIfAbsent: fail }],
    ['rejects', { get: async () => fail(), setIfAbsent: async () => fail() }],
    ['rejects with an error of Kest', { get: async () => failKest(), setIfAbsent: async () => failKest() }],
    ['never answers', { get: () => new Promise(() => {}), setIfAbsent: () => new Promise(() => {}) }],
    ['answers something else', { get: () => 7 as never, setIfAbsent: () => 'OK' as never }],
    ['answers nothing', { get: async () => undefined as never, setIfAbsent: async () => undefined as never }],
  ]
  it.each(failures)('NF-SEC-03 a cache that %s is an error', async (_, cache) => {
    const store = { ...storeOf(cache), cacheTimeoutMs: 20 }
    const expected = expect.objectContaining({ code: 'ERR_KEST_CACHE' })
    await expect(async () => storeClaim('[]', store)).rejects.toEqual(expected)
    await expect(async () => resolveClaim('0', store)).rejects.toEqual(expected)
  })

  it('asks a cache that does not answer true or false only once', () => {
    let asked = 0
    const setIfAbsent = (): never => {
      asked++
      return 'OK' as never
    }
    expect(() => storeClaim('[]', storeOf({ setIfAbsent }))).toThrow(/true or false/)
    expect(asked).toBe(1)
  })

  it('keeps what the cache said as the cause', async () => {
    const store = storeOf({ get: async () => fail() })
    await expect(async () => resolveClaim('0', store)).rejects.toMatchObject({
      cause: { message: 'connection refused' },
    })
  })

  it('K-LIMIT refuses more than passportBytes', () => {
    expect(resolveClaim('0', storeOf({ get: () => ' '.repeat(100) }))).toHaveLength(100)
    const few = 'ö'.repeat(51)
    expect(() => resolveClaim('0', storeOf({ get: () => few }))).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_LIMIT' }),
    )
    const read = (): unknown => resolveClaim('0', storeOf({ get: () => ' '.repeat(101) }))
    expect(read).toThrow(expect.objectContaining({ code: 'ERR_KEST_LIMIT' }))
  })

  it.each([
    '',
    '7F1C2A9E-1B2C-4D3E-8F4A-5B6C7D8E9F0A',
    '7f1c2a9e-1b2c-1d3e-8f4a-5b6c7d8e9f0a',
    '7f1c2a9e-1b2c-4d3e-cf4a-5b6c7d8e9f0a',
    '7f1c2a9e1b2c4d3e8f4a5b6c7d8e9f0a',
    '{7f1c2a9e-1b2c-4d3e-8f4a-5b6c7d8e9f0a}',
    '7f1c2a9e-1b2c-4d3e-8f4a-5b6c7d8e9f0a\n',
    '7f1c2a9e-1b2c-4d3e-8f4a-5b6c7d8e9f0a:x',
    '../7f1c2a9e-1b2c-4d3e-8f4a-5b6c7d8e9f0a',
  ])('K-CLAIM does not take %j for an id', (text) => {
    expect(isClaimCheck(text)).toBe(false)
  })
})

function fail(): never {
  throw new Error('connection refused')
}

function failKest(): never {
  throw new KestError('ERR_KEST_CONFIG', 'of another kind')
}
