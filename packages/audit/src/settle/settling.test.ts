import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Settling } from './settling.js'

const keys = (settled: Iterable<{ key: string }>): string[] => [...settled].map(({ key }) => key)

describe('what is open', () => {
  it('K-FLEET is judged when nothing came for so long, and at the latest some time after its first', () => {
    const settling = new Settling<number>({ settleMs: 10, maxAgeMs: 25 })
    settling.add('fed', 1, 1, 0)
    settling.add('quiet', 1, 1, 2)
    for (const at of [8, 16, 24]) settling.add('fed', at, 1, at)
    expect(settling.nextAt).toBe(12)
    expect(keys(settling.due(11))).toEqual([])
    expect(keys(settling.due(12))).toEqual(['quiet'])
    expect(settling.nextAt).toBe(25)
    expect([...settling.due(25)]).toEqual([
      { key: 'fed', items: [1, 8, 16, 24], firstMs: 0, lastMs: 24, bytes: 4, early: false },
    ])
    expect(settling.nextAt).toBe(Number.POSITIVE_INFINITY)
    expect(settling.bytes).toBe(0)
  })

  it('K-FLEET is bounded, in number and in bytes: the oldest are judged early', () => {
    const settling = new Settling<number>({ maxOpen: 2, maxBytes: 10 })
    for (const key of ['a', 'b', 'c']) settling.add(key, 1, 1, 0)
    expect([...settling.due(0)]).toMatchObject([{ key: 'a', early: true }])
    settling.add('b', 2, 9, 0)
    expect([...settling.due(0)]).toMatchObject([{ key: 'b', early: true, bytes: 10 }])
    expect(settling.size).toBe(1)
  })

  it('is each time all that came for its key, and nothing is lost', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      ms: fc.nat({ max: 20 }),
      bytes: fc.nat({ max: 5 }),
    })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const settling = new Settling<number>({ settleMs: 10, maxAgeMs: 30, maxOpen: 3, maxBytes: 20 })
        const judged: number[] = []
        let now = 0
        for (const [n, { key, ms, bytes }] of steps.entries()) {
          now += ms
          settling.add(key, n, bytes, now)
          for (const one of settling.due(now)) judged.push(...one.items)
          expect(settling.size).toBeLessThanOrEqual(3)
          expect(settling.bytes).toBeLessThanOrEqual(20)
          expect(settling.nextAt).toBeGreaterThan(now)
        }
        for (const one of settling.all()) judged.push(...one.items)
        expect(judged.sort((a, b) => a - b)).toEqual(steps.map((_, n) => n))
      }),
    )
  })

  it.each([{ settleMs: 0 }, { maxOpen: 1.5 }, { settleMs: 10, maxAgeMs: 5 }, { setleMs: 5 }])(
    'refuses %j',
    (options) => {
      expect(() => new Settling(options)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    },
  )
})
