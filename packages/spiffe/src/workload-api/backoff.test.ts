import { expect, it } from 'vitest'
import { createBackoff } from './backoff.js'

it('waits a second longer each time, thirty at most, and begins anew', () => {
  const backoff = createBackoff()
  const waits = Array.from({ length: 32 }, () => backoff.next())
  expect([waits[0], waits[1], waits[28], waits[29], waits[31]]).toEqual([
    1_000, 2_000, 29_000, 30_000, 30_000,
  ])
  backoff.reset()
  expect(backoff.next()).toBe(1_000)
})

it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses a step of %s', (stepMs) => {
  expect(() => createBackoff({ stepMs })).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_CONFIG' }))
})
