import { describe, expect, it } from 'vitest'
import { layoutOf } from './layout.js'
import type { LineageGraph } from './lineage-graph.js'

type Edges = LineageGraph['edges']

function graphOf(count: number, edges: Edges): LineageGraph {
  const nodes = Array.from({ length: count }, (_, index) => ({
    index,
    status: 'verified' as const,
    title: `n${index}`,
    lines: ['a', 'b'],
    details: [],
  }))
  return { title: '', verdict: 'verified', nodes, edges, omitted: 0, findings: [] }
}

/** Each of the lower half builds on all of the upper. */
function between(half: number): Edges {
  const all = Array.from({ length: half }, (_, i) => i)
  return all.flatMap((parent) => all.map((child) => [parent, half + child] as const))
}

const chain = (count: number): Edges => Array.from({ length: count - 1 }, (_, i) => [i, i + 1] as const)

describe('the layout of a picture', () => {
  it.each([
    ['of a few entries', 5, chain(5)],
    ['of many links', 240, between(120)],
    ['of many layers', 1_000, chain(1_000)],
    ['of many that build on one', 1_000, chain(1_000).map(([, child]) => [0, child] as const)],
    ['whose parents come last', 300, chain(300).map(([a, b]) => [b, a] as const)],
  ])(
    'has parents above children, and no two entries in one place: %s',
    (_, count, edges) => {
      const { nodes, edges: ways, width, height } = layoutOf(graphOf(count, edges))
      for (const [parent, child] of edges)
        expect((nodes[parent]?.y ?? 0) + (nodes[parent]?.height ?? 0)).toBeLessThan(nodes[child]?.y ?? 0)
      expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(count)
      expect(ways).toHaveLength(edges.length)
      for (const { x, y } of [...nodes, ...ways.flat()]) {
        expect(x).toBeGreaterThanOrEqual(0)
        expect(x).toBeLessThanOrEqual(width)
        expect(y).toBeGreaterThanOrEqual(0)
        expect(y).toBeLessThanOrEqual(height)
      }
    },
    // What grows with the square of it takes minutes.
    20_000,
  )

  it('is the same for the same graph', () => {
    for (const graph of [graphOf(5, chain(5)), graphOf(240, between(120))])
      expect(layoutOf(graph)).toEqual(layoutOf(graph))
  })
})
