import { describe, expect, it } from 'vitest'
import { Components } from './components.js'

const LINKS = 100_000
const forward = Array.from({ length: LINKS }, (_, i) => i)

describe('components', () => {
  it('are the same for all that hang together, and others for the rest', () => {
    const components = new Components()
    components.join('a', 'b')
    components.join('c', 'd')
    components.join('d', 'a')
    components.join('b', 'c')
    expect(new Set(['a', 'b', 'c', 'd'].map((name) => components.of(name))).size).toBe(1)
    expect(components.of('e')).toBe('e')
    expect(components.of('e')).not.toBe(components.of('a'))
  })

  it.each([
    { order: 'oldest first', links: forward },
    { order: 'newest first', links: forward.toReversed() },
  ])(
    'take time in proportion to the links of one long chain, $order',
    ({ links }) => {
      const components = new Components()
      for (const i of links) components.join(String(i), String(i + 1))
      expect(new Set(links.map((i) => components.of(String(i)))).size).toBe(1)
    },
    // What grows with the square of it takes minutes.
    5_000,
  )
})
