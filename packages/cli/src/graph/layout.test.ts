import { describe, expect, it } from 'vitest'
import { CARD_HEIGHT, CARD_WIDTH, type Point } from './geometry.js'
import type { GraphNode } from './graph-node.js'
import { layoutOf } from './layout.js'
import type { LineageGraph } from './lineage-graph.js'

type Edges = LineageGraph['edges']

function graphOf(count: number, edges: Edges): Pick<LineageGraph, 'nodes' | 'edges'> {
  const nodes = Array.from(
    { length: count },
    (_, index): GraphNode => ({
      index,
      status: 'verified' as const,
      title: `n${index}`,
      lines: [],
      operation: null,
      trust: null,
      taints: [],
      details: [],
    }),
  )
  return { nodes, edges }
}

/** Each of the lower half builds on all of the upper. */
function between(half: number): Edges {
  const all = Array.from({ length: half }, (_, i) => i)
  return all.flatMap((parent) => all.map((child) => [parent, half + child] as const))
}

const chain = (count: number): Edges => Array.from({ length: count - 1 }, (_, i) => [i, i + 1] as const)

function overlaps(nodes: readonly Point[]): readonly (readonly [Point, Point])[] {
  return nodes.flatMap((one, i) =>
    nodes
      .slice(i + 1)
      .filter(({ x, y }) => Math.abs(x - one.x) < CARD_WIDTH && Math.abs(y - one.y) < CARD_HEIGHT)
      .map((other) => [one, other] as const),
  )
}

describe('the layout of a picture', () => {
  it.each([
    ['of a few entries', 5, chain(5)],
    ['of many links', 240, between(120)],
    ['of many layers', 1_000, chain(1_000)],
    ['of many that build on one', 1_000, chain(1_000).map(([, child]) => [0, child] as const)],
    ['whose parents come last', 300, chain(300).map(([a, b]) => [b, a] as const)],
  ])(
    'has parents above children, and no two entries that overlap: %s',
    (_, count, edges) => {
      const { nodes, edges: ways, width, height } = layoutOf(graphOf(count, edges))
      for (const [parent, child] of edges)
        expect((nodes[parent]?.y ?? 0) + CARD_HEIGHT).toBeLessThan(nodes[child]?.y ?? 0)
      expect(nodes).toHaveLength(count)
      expect(overlaps(nodes)).toEqual([])
      expect(ways).toHaveLength(edges.length)
      for (const { x, y } of [...nodes, ...ways.flat()]) {
        expect(x).toBeGreaterThanOrEqual(0)
        expect(x).toBeLessThanOrEqual(width)
        expect(y).toBeGreaterThanOrEqual(0)
        expect(y).toBeLessThanOrEqual(height)
      }
    },
    // What grows with the square of it takes minutes.
    120_000,
  )

  it('makes a block of a layer that is wider than a screen', () => {
    const { width, height } = layoutOf(
      graphOf(
        1_000,
        chain(1_000).map(([, child]) => [0, child] as const),
      ),
    )
    expect(width / height).toBeGreaterThan(1)
    expect(width / height).toBeLessThan(2.5)
  })

  it('is the same for the same graph', () => {
    for (const graph of [graphOf(5, chain(5)), graphOf(240, between(120))])
      expect(layoutOf(graph)).toEqual(layoutOf(graph))
  })
})
