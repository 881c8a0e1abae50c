import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drawGraph, type GraphRow } from './graph.js'

/** One character for each lane, with a mark for the entry. */
function draw(parents: readonly (readonly number[])[]): string[] {
  return drawGraph(parents).flatMap(({ joint, left, right }) => [
    ...(joint === null ? [] : [joint]),
    `${left}*${right}`,
  ])
}

/** Follows the lines of a drawing: which entries each one hangs on. */
function readDrawing(rows: readonly GraphRow[]): number[][] {
  const open = new Map<number, number>()
  return rows.map(({ joint, left, below }, index) => {
    const lane = left.length / 2
    const own = joint === null ? sourcesAt([lane]) : sourcesAt(joinedIn(joint))
    for (const known of open.keys()) if ((below[known * 2] ?? ' ') === ' ') open.delete(known)
    if (below[lane * 2] === '│') open.set(lane, index)
    return own

    function sourcesAt(lanes: readonly number[]): number[] {
      return lanes.flatMap((one) => open.get(one) ?? []).sort((a, b) => a - b)
    }
  })
}

/** Lanes that the horizontal line touches; one that it only crosses keeps its `│`. */
function joinedIn(joint: string): number[] {
  const lanes: number[] = []
  for (let i = 0; i < joint.length; i += 2) if (/[├┤┬┴┼╭╮╰╯]/.test(joint[i] as string)) lanes.push(i / 2)
  return lanes
}

const graphs = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { maxLength: 24 })
  .map((picks) =>
    picks.map((own, i) => (i === 0 ? [] : [...new Set(own.map((n) => n % i))].sort((a, b) => a - b))),
  )

describe('drawGraph', () => {
  it('draws a chain as one line', () => {
    expect(draw([[], [0], [1]])).toEqual(['*', '*', '*'])
  })

  it('draws siblings side by side and joins them again', () => {
    expect(draw([[], [0], [0], [1, 2]])).toEqual(['*', '├─╮', '│ *', '* │', '├─╯', '*'])
  })

  it('draws three that follow one, and what follows all of them', () => {
    const expected = ['*', '├─╮', '│ *', '├─│─╮', '│ │ *', '* │ │', '├─┴─╯', '*']
    expect(draw([[], [0], [0], [0], [1, 2, 3]])).toEqual(expected)
  })

  it('draws nothing between entries that have nothing to do with each other', () => {
    expect(draw([[], []])).toEqual(['*', '*'])
  })

  it('draws exactly the parents of every entry, whatever the graph', () => {
    fc.assert(
      fc.property(graphs, (parents) => {
        expect(readDrawing(drawGraph(parents))).toEqual(parents)
      }),
      { numRuns: 2000 },
    )
  })
})
