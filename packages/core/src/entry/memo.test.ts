import { describe, expect, it, vi } from 'vitest'
import { memo } from './memo.js'

describe('memo', () => {
  it('makes the same text once, and hands out the same', () => {
    const make = vi.fn((text: string) => ({ text }))
    const remember = memo(2, make)
    expect(remember('a')).toBe(remember('a'))
    expect(make).toHaveBeenCalledTimes(1)
  })

  it('K-LIMIT remembers so many, and nothing that is long', () => {
    const make = vi.fn((text: string) => ({ text }))
    const remember = memo(2, make)
    for (const text of ['a', 'b', 'c', 'b', 'c']) remember(text)
    expect(make).toHaveBeenCalledTimes(3)
    remember('a')
    expect(make).toHaveBeenCalledTimes(4)
    const long = 'x'.repeat(8193)
    remember(long)
    remember(long)
    expect(make).toHaveBeenCalledTimes(6)
  })

  it('does not remember failures', () => {
    const make = vi.fn(() => {
      throw new RangeError('no')
    })
    const remember = memo(2, make)
    for (let i = 0; i < 2; i++) expect(() => remember('a')).toThrow(RangeError)
    expect(make).toHaveBeenCalledTimes(2)
  })
})
