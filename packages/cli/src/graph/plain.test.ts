import { describe, expect, it } from 'vitest'
import { plain, plainList } from './plain.js'

describe('a text of strangers in a picture', () => {
  it.each([
    ['orders.load', 'orders.load'],
    ['Überweisung bestätigen', 'Überweisung bestätigen'],
    ['ที่นี่', 'ที่นี่'],
    ['שִׁלֵּם', 'שִׁלֵּם'],
    [`a${'\u0301'.repeat(6)}b`, `a${'\u0301'.repeat(4)}\\u{301}\\u{301}b`],
    ['a\u202eb', 'a\\u{202e}b'],
  ])('is as it was, but for what does not show and for marks that pile up: %j', (text, shown) => {
    expect(plain(text)).toBe(shown)
  })

  it('is the same in a list', () => {
    expect(plainList(['pii', `a${'\u0e49'.repeat(5)}`, 'a, b'])).toBe(
      `pii, a${'\u0e49'.repeat(4)}\\u{e49}, "a, b"`,
    )
  })
})
