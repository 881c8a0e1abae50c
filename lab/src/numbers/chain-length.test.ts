import { expect, it } from 'vitest'
import { measureLengths } from './chain-length.js'

it('measures each hop of a chain, whose header grows with it', async () => {
  const figures = await measureLengths(3, 2)
  expect(figures.map(({ hops }) => hops)).toEqual([1, 2, 3])
  for (const { full, tip, floor } of figures) expect(Math.min(full, tip, floor)).toBeGreaterThan(0)
  const headers = figures.map(({ header }) => header)
  expect(headers).toEqual([...new Set(headers)].sort((a, b) => a - b))
})
