import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../testing/fake-clock.js'
import { MemoryReplayStore } from './replay-store.js'

describe('MemoryReplayStore', () => {
  it('K-HOP knows what was used, for as long as it was told', () => {
    const clock = new FakeClock()
    const store = new MemoryReplayStore({ clock })
    expect(store.setIfAbsent('a', '1', 1000)).toBe(true)
    clock.advance(999)
    expect(store.setIfAbsent('a', '1', 1000)).toBe(false)
    clock.advance(1)
    expect(store.setIfAbsent('a', '1', 1000)).toBe(true)
  })

  it('K-HOP refuses what is new when it is full, and forgets nothing that is in force', () => {
    const clock = new FakeClock()
    const store = new MemoryReplayStore({ max: 2, clock })
    store.setIfAbsent('a', '1', 1000)
    store.setIfAbsent('b', '1', 1000)
    expect(() => store.setIfAbsent('c', '1', 1000)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CACHE' }),
    )
    expect(store.setIfAbsent('a', '1', 1000)).toBe(false)
    clock.advance(1000)
    expect(store.setIfAbsent('c', '1', 1000)).toBe(true)
    expect(store.size).toBe(1)
  })

  it('K-HOP remembers 6,500 tokens a second for as long as each is good, unless told otherwise', () => {
    const clock = new FakeClock()
    const store = new MemoryReplayStore({ clock })
    for (let i = 0; i < 150 * 6_500; i++) store.setIfAbsent(String(i), '1', 150_000)
    expect(store.size).toBe(150 * 6_500)
  })

  it('K-HOP makes room again after the clock was set back, looking for it once a second', () => {
    const clock = new FakeClock(1_000_000)
    const store = new MemoryReplayStore({ max: 3, clock })
    store.setIfAbsent('ahead', '1', 100_000)
    clock.advance(-50_000)
    store.setIfAbsent('a', '1', 1000)
    store.setIfAbsent('b', '1', 1500)
    const full = expect.objectContaining({ code: 'ERR_KEST_CACHE' })
    clock.advance(999)
    expect(() => store.setIfAbsent('c', '1', 1000)).toThrow(full)
    clock.advance(999)
    expect(() => store.setIfAbsent('c', '1', 1000)).toThrow(full)
    clock.advance(1)
    expect(store.setIfAbsent('c', '1', 1000)).toBe(true)
    expect(store.size).toBe(2)
    expect(store.setIfAbsent('ahead', '1', 1000)).toBe(false)
  })

  it('K-HOP never takes a token twice within its time, whatever the clock does', () => {
    const step = fc.record({ key: fc.integer({ min: 0, max: 8 }), move: fc.integer({ min: -50, max: 300 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(3, 9), (steps, max) => {
        const clock = new FakeClock(1_000_000)
        const store = new MemoryReplayStore({ max, clock })
        const used = new Map<number, number>()
        let latest = clock.now()
        for (const { key, move } of steps) {
          clock.advance(move)
          latest = Math.max(latest, clock.now())
          const until = used.get(key) ?? 0
          const taken = takes(store, String(key))
          // Whatever was forgotten had been over at some time.
          if (taken) expect(until).toBeLessThanOrEqual(latest)
          if (taken) used.set(key, clock.now() + 500)
        }
        expect(store.size).toBeLessThanOrEqual(max)
      }),
    )
  })

  it.each([0, -1, 1.5, '7'])('refuses a bound of %s', (max) => {
    expect(() => new MemoryReplayStore({ max: max as number })).toThrow(/max: expected a positive integer/)
  })
})

/** Whether it takes the token; it does not when it is full, either. */
function takes(store: MemoryReplayStore, key: string): boolean {
  try {
    return store.setIfAbsent(key, '1', 500)
  } catch {
    return false
  }
}
