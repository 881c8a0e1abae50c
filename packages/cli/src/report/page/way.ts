import type { Point } from '../../graph/geometry.js'

/** From the first point to the last, without corners, as an SVG writes it. */
export function wayOf(points: readonly Point[]): string {
  const [first, ...rest] = points.map(({ x, y }) => ({ x: round(x), y: round(y) })) as [Point, ...Point[]]
  const last = rest.at(-1) ?? first
  const bends = rest.slice(0, -1).map((at, i) => {
    const next = rest[i + 1] as Point
    const end =
      i === rest.length - 2 ? next : { x: round((at.x + next.x) / 2), y: round((at.y + next.y) / 2) }
    return `Q${at.x} ${at.y} ${end.x} ${end.y}`
  })
  return `M${first.x} ${first.y}${bends.length === 0 ? `L${last.x} ${last.y}` : bends.join('')}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
