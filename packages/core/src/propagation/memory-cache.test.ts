import { describe, expect, it } from 'vitest'
import { KestConfigError } from '../errors.js'
import { MemoryCache } from './memory-cache.js'

const full = expect.objectContaining({ code: 'ERR_KEST_CACHE' })

function cacheAt(options: { maxEntries?: number; maxBytes?: number } = {}): {
  cache: MemoryCache
  at: (ms: number) => void
} {
  let now = 0
  const cache = new MemoryCache({ ...options, clock: { now: () => now } })
  return {
    cache,
    at: (ms) => {
      now = ms
    },
  }
}

describe('MemoryCache', () => {
  it('stores if absent, until the time is over', () => {
    const { cache, at } = cacheAt()
    expect(cache.setIfAbsent('a', 'one', 100)).toBe(true)
    expect(cache.setIfAbsent('a', 'two', 100)).toBe(false)
    at(99)
    expect(cache.get('a')).toBe('one')
    at(100)
    expect(cache.get('a')).toBeNull()
    expect(cache.setIfAbsent('a', 'two', 100)).toBe(true)
    expect(cache.get('a')).toBe('two')
  })

  it('refuses what is new when it is full, keeps what is live, and counts the refusal', () => {
    const { cache } = cacheAt({ maxEntries: 2 })
    cache.setIfAbsent('a', '1', 100)
    cache.setIfAbsent('b', '2', 100)
    expect(() => cache.setIfAbsent('c', '3', 100)).toThrow(full)
    expect(cache.setIfAbsent('a', '3', 100)).toBe(false)
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual(['1', '2', null])
    expect(cache.stats()).toEqual({ entries: 2, bytes: 4, refused: 1, expired: 0 })
  })

  it('makes room of what has expired, and of nothing else', () => {
    const { cache, at } = cacheAt({ maxEntries: 2 })
    cache.setIfAbsent('long', '1', 1000)
    cache.setIfAbsent('short', '2', 10)
    at(9)
    expect(() => cache.setIfAbsent('c', '3', 1000)).toThrow(full)
    at(10)
    expect(cache.setIfAbsent('c', '3', 1000)).toBe(true)
    expect(cache.get('long')).toBe('1')
    at(999)
    expect(() => cache.setIfAbsent('d', '4', 1000)).toThrow(full)
    at(1000)
    expect(cache.setIfAbsent('d', '4', 1000)).toBe(true)
    expect(cache.stats()).toMatchObject({ entries: 2, refused: 2, expired: 2 })
  })

  it('bounds bytes, not characters', () => {
    const { cache, at } = cacheAt({ maxBytes: 10 })
    expect(() => cache.setIfAbsent('k', 'ööööö', 100)).toThrow(full)
    expect(cache.setIfAbsent('k', '123456789', 100)).toBe(true)
    expect(() => cache.setIfAbsent('l', '', 100)).toThrow(full)
    at(100)
    expect(cache.setIfAbsent('l', 'öööö', 100)).toBe(true)
    expect(cache.stats().bytes).toBe(9)
  })

  it('forgets everything when it is closed, and goes on', () => {
    const { cache } = cacheAt({ maxEntries: 1 })
    cache.setIfAbsent('a', '1', 100)
    cache.close()
    expect(cache.get('a')).toBeNull()
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0 })
    expect(cache.setIfAbsent('b', '1', 100)).toBe(true)
  })

  it('refuses bounds and times that are none', () => {
    for (const bound of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '7' as never]) {
      expect(() => new MemoryCache({ maxEntries: bound })).toThrow(KestConfigError)
      expect(() => new MemoryCache({ maxBytes: bound })).toThrow(KestConfigError)
    }
    for (const ttl of [0, -1, Number.NaN, undefined as never]) {
      expect(() => new MemoryCache().setIfAbsent('a', '', ttl)).toThrow(TypeError)
    }
  })
})
