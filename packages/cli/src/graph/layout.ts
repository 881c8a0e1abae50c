import { Graph, layout } from '@dagrejs/dagre'
import { CARD_HEIGHT, CARD_WIDTH, type Layout, MARGIN, NODE_GAP, type Point, ROW_GAP } from './geometry.js'
import { layersOf } from './layers.js'
import type { LineageGraph } from './lineage-graph.js'
import { inRows } from './rows.js'

/**
 * Up to here the library arranges a picture: so many nodes, in layers that a screen has room for, and layers that its edges cross
 * together. What it takes beyond grows with the square of that, and anybody can make an entry with hundreds of parents.
 */
const FEW_NODES = 200
const FEW_IN_LAYER = 12
const FEW_CROSSED = 800

/** Parents above children, in layers. */
export function layoutOf({ nodes, edges }: Pick<LineageGraph, 'nodes' | 'edges'>): Layout {
  const layers = layersOf(nodes.length, edges)
  const crossed = edges.reduce(
    (sum, [parent, child]) => sum + layerOf(layers, child) - layerOf(layers, parent),
    0,
  )
  return nodes.length <= FEW_NODES && widest(layers) <= FEW_IN_LAYER && crossed <= FEW_CROSSED
    ? arranged(nodes.length, edges)
    : inRows(edges, layers)
}

function layerOf(layers: readonly number[], index: number): number {
  return layers[index] as number
}

function widest(layers: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const layer of layers) counts.set(layer, (counts.get(layer) ?? 0) + 1)
  return Math.max(0, ...counts.values())
}

function arranged(count: number, edges: LineageGraph['edges']): Layout {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: NODE_GAP, ranksep: ROW_GAP, marginx: MARGIN, marginy: MARGIN })
  graph.setDefaultEdgeLabel(() => ({}))
  const indices = Array.from({ length: count }, (_, index) => index)
  for (const index of indices) graph.setNode(String(index), { width: CARD_WIDTH, height: CARD_HEIGHT })
  for (const [parent, child] of edges) graph.setEdge(String(parent), String(child))
  layout(graph)
  const { width = 2 * MARGIN, height = 2 * MARGIN } = graph.graph() as { width?: number; height?: number }
  return {
    width: finite(width),
    height: finite(height),
    nodes: indices.map((index) => {
      const { x, y } = graph.node(String(index)) as Point
      return { x: round(x - CARD_WIDTH / 2), y: round(y - CARD_HEIGHT / 2) }
    }),
    edges: edges.map(([parent, child]) => {
      const { points } = graph.edge(String(parent), String(child)) as { points: readonly Point[] }
      return points.map(({ x, y }) => ({ x: round(x), y: round(y) }))
    }),
  }
}

/** Of a graph without nodes there is no extent. */
function finite(length: number): number {
  return Number.isFinite(length) ? Math.ceil(length) : 2 * MARGIN
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
