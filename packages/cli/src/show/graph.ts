/** One entry of a drawing, and what joins it to those above. */
export interface GraphRow {
  /** Joins the entry to its parents; `null` when it stands right below its only one. */
  readonly joint: string | null
  /** The line of the entry itself, around its own mark. */
  readonly left: string
  readonly right: string
  /** Goes beside whatever is written under the entry. */
  readonly below: string
}

/** A line of the drawing that leads from an entry down to its children. */
type Lane = number | null

const UP = 1
const DOWN = 2
const LEFT = 4
const RIGHT = 8
const GLYPHS: Readonly<Record<number, string>> = {
  0: ' ',
  [UP | DOWN]: '│',
  [LEFT | RIGHT]: '─',
  [UP | RIGHT]: '╰',
  [UP | LEFT]: '╯',
  [DOWN | RIGHT]: '╭',
  [DOWN | LEFT]: '╮',
  [UP | DOWN | RIGHT]: '├',
  [UP | DOWN | LEFT]: '┤',
  [DOWN | LEFT | RIGHT]: '┬',
  [UP | LEFT | RIGHT]: '┴',
  [UP | DOWN | LEFT | RIGHT]: '┼',
}

/**
 * Draws a graph from the top down, one lane for each entry that still has children to come.
 *
 * @param parents of each entry, the indexes of earlier ones, without repeats
 */
export function drawGraph(parents: readonly (readonly number[])[]): GraphRow[] {
  const childrenToCome = parents.map(() => 0)
  for (const index of parents.flat()) childrenToCome[index] = (childrenToCome[index] ?? 0) + 1
  const lanes: Lane[] = []
  return parents.map((own, index) => {
    const before = [...lanes]
    const from = own.map((parent) => lanes.indexOf(parent))
    const freed: number[] = []
    for (const [i, parent] of own.entries()) {
      childrenToCome[parent] = (childrenToCome[parent] ?? 0) - 1
      if (childrenToCome[parent] !== 0) continue
      lanes[from[i] as number] = null
      freed.push(from[i] as number)
    }
    const lane = freed.length > 0 ? Math.min(...freed) : firstFree(lanes)
    lanes[lane] = index
    const joint = from.every((one) => one === lane) ? null : drawJoint(before, lanes, [lane, ...from])
    const left = drawLanes(lanes.slice(0, lane)).padEnd(2 * lane)
    const right = drawLanes(lanes.slice(lane + 1))
    if (childrenToCome[index] === 0) lanes[lane] = null
    return { joint, left, right: right === '' ? '' : ` ${right}`, below: drawLanes(lanes) }
  })
}

function firstFree(lanes: readonly Lane[]): number {
  const free = lanes.indexOf(null)
  return free === -1 ? lanes.length : free
}

function drawLanes(lanes: readonly Lane[]): string {
  return lanes
    .map((lane) => (lane === null ? ' ' : '│'))
    .join(' ')
    .trimEnd()
}

/** @param joined the lanes that meet, the entry's own among them */
function drawJoint(before: readonly Lane[], after: readonly Lane[], joined: readonly number[]): string {
  const first = Math.min(...joined)
  const last = Math.max(...joined)
  let line = ''
  for (let lane = 0; lane < Math.max(before.length, after.length); lane++) {
    const within = lane > first && lane < last
    const through = isOpen(before, lane) && isOpen(after, lane)
    if (joined.includes(lane)) {
      const up = isOpen(before, lane) ? UP : 0
      const down = isOpen(after, lane) ? DOWN : 0
      line += GLYPHS[up | down | (lane > first ? LEFT : 0) | (lane < last ? RIGHT : 0)]
    } else line += through ? '│' : within ? '─' : ' '
    line += lane >= first && lane < last ? '─' : ' '
  }
  return line.trimEnd()
}

function isOpen(lanes: readonly Lane[], lane: number): boolean {
  return (lanes[lane] ?? null) !== null
}
