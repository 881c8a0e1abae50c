import { type Layout, MARGIN, NODE_GAP, NODE_WIDTH, type Point, ROW_GAP } from './geometry.js'
import { neighbours } from './layers.js'
import type { LineageGraph } from './lineage-graph.js'

/** Times that rows are put in order, by the rows above and by those below in turn. */
const SWEEPS = 4

/**
 * Each layer a row, its nodes where their parents and children are on average, and edges straight. Less pretty than what the library
 * makes of a small picture, and in about linear time.
 */
export function inRows(
  heights: readonly number[],
  edges: LineageGraph['edges'],
  layers: readonly number[],
): Layout {
  const rows = ordered(layers, edges)
  const widest = Math.max(0, ...rows.map(({ length }) => rowWidth(length)))
  const places = new Array<Point & { readonly height: number }>(heights.length)
  let y = MARGIN
  for (const row of rows) {
    let x = MARGIN + (widest - rowWidth(row.length)) / 2
    for (const index of row) {
      places[index] = { x, y, height: heights[index] as number }
      x += NODE_WIDTH + NODE_GAP
    }
    y += row.reduce((highest, index) => Math.max(highest, heights[index] as number), 0) + ROW_GAP
  }
  return {
    width: widest + 2 * MARGIN,
    height: Math.max(y - ROW_GAP, MARGIN) + MARGIN,
    nodes: places,
    edges: edges.map(([parent, child]) => {
      const [above, below] = [places[parent], places[child]] as [(typeof places)[0], (typeof places)[0]]
      return [
        { x: above.x + NODE_WIDTH / 2, y: above.y + above.height },
        { x: below.x + NODE_WIDTH / 2, y: below.y },
      ]
    }),
  }
}

function rowWidth(count: number): number {
  return count * NODE_WIDTH + (count - 1) * NODE_GAP
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
