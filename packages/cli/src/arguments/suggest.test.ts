import { describe, expect, it } from 'vitest'
import { suggestion } from './suggest.js'

describe('suggestion', () => {
  it.each([
    ['verfy', 'verify'],
    ['vreify', 'verify'],
    ['sohw', 'show'],
    ['shw', 'show'],
  ])('takes %s for %s', (written, meant) => {
    expect(suggestion(written, ['verify', 'show'])).toBe(`; did you mean ${meant}?`)
  })

  it.each(['', 'x', 'frobnicate', 'v'.repeat(100_000)])(
    'has none for what is far from all (%#)',
    (written) => {
      expect(suggestion(written, ['verify', 'show'])).toBe('')
    },
  )
})
