import { describe, expect, it } from 'vitest'
import { parseSeconds } from './seconds.js'
import { UsageError } from './usage-error.js'

describe('parseSeconds', () => {
  it.each([
    ['30', 30_000],
    ['0.5', 500],
    ['2147483', 2_147_483_000],
  ])('reads %s', (value, milliseconds) => {
    expect(parseSeconds('for', value)).toBe(milliseconds)
  })

  it.each(['', '0', '-1', '1e3', '30s', '2147484', 'Infinity'])('refuses "%s"', (value) => {
    expect(() => parseSeconds('for', value)).toThrow(UsageError)
  })
})
