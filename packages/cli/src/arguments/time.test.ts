import { describe, expect, it } from 'vitest'
import { parseAt } from './time.js'
import { UsageError } from './usage-error.js'

describe('parseAt', () => {
  it.each([
    ['entry', 'entry'],
    ['now', 77],
    ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
    ['2026-01-31t12:00:00.250z', Date.UTC(2026, 0, 31, 12) + 250],
    ['2026-01-31T12:00:00+02:00', Date.UTC(2026, 0, 31, 10)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ])('reads %s', (value, expected) => {
    expect(parseAt(value, 77)).toBe(expected)
  })

  it.each([
    '',
    'yesterday',
    '2026-01-31',
    '2026-01-31T12:00:00',
    '2026-01-31 12:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T12:60:00Z',
    '2026-01-31T12:00:00+24:00',
    '1767225600000',
    'Now',
  ])('refuses %j', (value) => {
    expect(() => parseAt(value, 0)).toThrow(UsageError)
  })
})
