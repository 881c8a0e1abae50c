import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { bounded } from './bounded.js'

const LONG = 1_000_000
const COUNT = 100

it('keeps no more of a long text than it shows', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  const kept = Array.from({ length: COUNT }, (_, n) => bounded(`${n} `.repeat(LONG / 2), 300))
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan((COUNT * LONG) / 10)
  expect(kept.every(({ length }) => length === 300)).toBe(true)
})

it('cuts no character in two, and leaves what is no character as it was', () => {
  expect(bounded('ab😀', 3)).toBe('ab')
  expect(bounded('\udc00abc', 3)).toBe('\udc00ab')
  expect(bounded('\ud800bc', 3)).toBe('\ud800bc')
})
