import { CARD_HEIGHT, CARD_WIDTH, type Layout, MARGIN, NODE_GAP, type Point, ROW_GAP } from './geometry.js'
import { neighbours } from './layers.js'
import type { LineageGraph } from './lineage-graph.js'

/** Times that layers are put in order, by the layers above and by those below in turn. */
const SWEEPS = 4
/** Cards of a row: of a layer that has more, as many as make a block about as wide as a screen is. */
const MIN_ROW = 12
const BLOCK = 0.83

/**
 * Each layer a row, or a block of rows where one would be too wide; cards where their parents and children are on average. Less pretty
 * than what the library makes of a small picture, and in about linear time.
 */
export function inRows(edges: LineageGraph['edges'], layers: readonly number[]): Layout {
  const blocks = ordered(layers, edges).map(blockOf)
  const widest = Math.max(0, ...blocks.flat().map(({ length }) => rowWidth(length)))
  const nodes = new Array<Point>(layers.length)
  let y = MARGIN
  for (const block of blocks) {
    for (const row of block) {
      const left = MARGIN + (widest - rowWidth(row.length)) / 2
      for (const [i, index] of row.entries()) nodes[index] = { x: left + i * (CARD_WIDTH + NODE_GAP), y }
      y += CARD_HEIGHT + NODE_GAP
    }
    y += ROW_GAP - NODE_GAP
  }
  return {
    width: widest + 2 * MARGIN,
    height: Math.max(y - ROW_GAP, MARGIN) + MARGIN,
    nodes,
    edges: edges.map(([parent, child]) => {
      const [above, below] = [nodes[parent], nodes[child]] as [Point, Point]
      return [
        { x: above.x + CARD_WIDTH / 2, y: above.y + CARD_HEIGHT },
        { x: below.x + CARD_WIDTH / 2, y: below.y },
      ]
    }),
  }
}

function rowWidth(count: number): number {
  return count * CARD_WIDTH + (count - 1) * NODE_GAP
}

function blockOf(layer: readonly number[]): readonly (readonly number[])[] {
  const length = Math.max(MIN_ROW, Math.ceil(BLOCK * Math.sqrt(layer.length)))
  return Array.from({ length: Math.ceil(layer.length / length) }, (_, i) =>
    layer.slice(i * length, (i + 1) * length),
  )
}

function ordered(layers: readonly number[], edges: LineageGraph['edges']): number[][] {
  const rows: number[][] = []
  for (const [index, layer] of layers.entries()) {
    while (rows.length <= layer) rows.push([])
    rows[layer]?.push(index)
  }
  const { parents, children } = neighbours(layers.length, edges)
  const at = new Array<number>(layers.length).fill(0)
  const place = (row: readonly number[]): void => {
    for (const [i, index] of row.entries()) at[index] = i - row.length / 2
  }
  for (const row of rows) place(row)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0
    for (const row of down ? rows : rows.toReversed()) {
      const mean = new Map(row.map((index) => [index, meanOf((down ? parents : children)[index], at, index)]))
      row.sort((a, b) => (mean.get(a) as number) - (mean.get(b) as number) || a - b)
      place(row)
    }
  }
  return rows
}

/** Of one without any, where it is. */
function meanOf(neighbours: readonly number[] | undefined, at: readonly number[], index: number): number {
  if (neighbours === undefined || neighbours.length === 0) return at[index] as number
  return neighbours.reduce((sum, neighbour) => sum + (at[neighbour] as number), 0) / neighbours.length
}
