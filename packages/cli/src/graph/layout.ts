import { Graph, layout } from '@dagrejs/dagre'
import {
  type Layout,
  LINE_HEIGHT,
  MARGIN,
  NODE_GAP,
  NODE_WIDTH,
  PADDING,
  type Point,
  ROW_GAP,
} from './geometry.js'
import { layersOf } from './layers.js'
import type { LineageGraph } from './lineage-graph.js'
import { inRows } from './rows.js'

/**
 * Up to here the library arranges a picture: so many nodes, and layers that its edges cross together. What it takes beyond grows with
 * the square of that, and anybody can make an entry with hundreds of parents.
 */
const FEW_NODES = 200
const FEW_CROSSED = 800

/** Parents above children, in layers. */
export function layoutOf({ nodes, edges }: LineageGraph): Layout {
  const heights = nodes.map(({ lines }) => (lines.length + 1) * LINE_HEIGHT + 2 * PADDING)
  const layers = layersOf(nodes.length, edges)
  const crossed = edges.reduce(
    (sum, [parent, child]) => sum + layerOf(layers, child) - layerOf(layers, parent),
    0,
  )
  return nodes.length <= FEW_NODES && crossed <= FEW_CROSSED
    ? arranged(heights, edges)
    : inRows(heights, edges, layers)
}

function layerOf(layers: readonly number[], index: number): number {
  return layers[index] as number
}

function arranged(heights: readonly number[], edges: LineageGraph['edges']): Layout {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: NODE_GAP, ranksep: ROW_GAP, marginx: MARGIN, marginy: MARGIN })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const [index, height] of heights.entries()) graph.setNode(String(index), { width: NODE_WIDTH, height })
  for (const [parent, child] of edges) graph.setEdge(String(parent), String(child))
  layout(graph)
  const { width = 2 * MARGIN, height = 2 * MARGIN } = graph.graph() as { width?: number; height?: number }
  return {
    width: finite(width),
    height: finite(height),
    nodes: heights.map((_, index) => {
      const node = graph.node(String(index)) as Point & { width: number; height: number }
      return { x: round(node.x - node.width / 2), y: round(node.y - node.height / 2), height: node.height }
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
