import { describe, expect, it } from 'vitest'
import { bounded } from '../bounded.js'
import { fitted, widthOf } from './text-width.js'

const SIZE = 10

describe('a text in a card', () => {
  it.each([
    ['a name', 'orders', 'orders'],
    ['a long one', 'recommendation-service', /^recommend.*…$/],
    ['a path', 'ns/production/sa/orders', /^….*\/sa\/orders$/],
    ['letters of twice the width', '支払い確認サービス株式会社', /^支払い.*…$/],
    ['no end', '/'.repeat(100_000), /^\/+…$/],
  ])('is no wider than its room: %s', (_, text, shown) => {
    const is = fitted(text, SIZE, 100)
    expect(is).toMatch(shown)
    expect(widthOf(is, SIZE)).toBeLessThanOrEqual(100)
  })

  it('is cut between letters, not within one', () => {
    const family = '👨‍👩‍👧'
    expect(fitted(family.repeat(20), SIZE, 60)).toBe(`${family.repeat(4)}…`)
    expect(bounded('ab😀', 3)).toBe('ab')
  })
})
