import { Graph, layout } from '@dagrejs/dagre'
import type { LineageGraph } from './lineage-graph.js'

export const NODE_WIDTH = 280
export const LINE_HEIGHT = 18
const PADDING = 12
export const MARGIN = 24

export interface Point {
  readonly x: number
  readonly y: number
}

/** Where everything lies. The same graph has the same picture. */
export interface Layout {
  readonly width: number
  readonly height: number
  /** Of each node its upper left corner, and its height. */
  readonly nodes: readonly (Point & { readonly height: number })[]
  /** Of each edge its way, from the parent down to the child. */
  readonly edges: readonly (readonly Point[])[]
}

/** Parents above children, in layers. */
export function layoutOf({ nodes, edges }: LineageGraph): Layout {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: 32, ranksep: 44, marginx: MARGIN, marginy: MARGIN })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { index, lines } of nodes) {
    graph.setNode(String(index), {
      width: NODE_WIDTH,
      height: (lines.length + 1) * LINE_HEIGHT + 2 * PADDING,
    })
  }
  for (const [parent, child] of edges) graph.setEdge(String(parent), String(child))
  layout(graph)
  const { width = 2 * MARGIN, height = 2 * MARGIN } = graph.graph() as { width?: number; height?: number }
  return {
    width: finite(width),
    height: finite(height),
    nodes: nodes.map(({ index }) => {
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
