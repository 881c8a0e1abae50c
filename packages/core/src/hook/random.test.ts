import { validate, version } from 'uuid'
import { describe, expect, it } from 'vitest'
import { randomTraceId, uuidV7 } from './random.js'

/** More than one batch. */
const MANY = 2_000

describe('uuidV7', () => {
  it('F-AE-04 makes UUIDs of version 7, each another', () => {
    const ids = Array.from({ length: MANY }, uuidV7)
    for (const id of ids) {
      expect(validate(id)).toBe(true)
      expect(version(id)).toBe(7)
      expect(id).toBe(id.toLowerCase())
    }
    expect(new Set(ids).size).toBe(MANY)
  })

  it('begins with the time, in milliseconds', () => {
    const before = Date.now()
    const time = Number.parseInt(uuidV7().replaceAll('-', '').slice(0, 12), 16)
    expect(time).toBeGreaterThanOrEqual(before)
    expect(time).toBeLessThanOrEqual(Date.now())
  })

  it('uses each of its random bits', () => {
    const digits = Array.from({ length: MANY }, () => uuidV7().replaceAll('-', ''))
    const free = [13, 14, 15, ...Array.from({ length: 15 }, (_, i) => 17 + i)]
    for (const at of free) expect(new Set(digits.map((id) => id.charAt(at))).size).toBe(16)
    expect(new Set(digits.map((id) => id.charAt(16)))).toEqual(new Set('89ab'))
  })
})

describe('randomTraceId', () => {
  it('K-TRACE draws 16 bytes, each time others', () => {
    const ids = Array.from({ length: MANY }, randomTraceId)
    for (const id of ids) expect(id).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
    expect(new Set(ids).size).toBe(MANY)
  })
})
