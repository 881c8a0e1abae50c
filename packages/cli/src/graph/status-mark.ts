import type { NodeStatus } from './graph-node.js'

/** Within a square of 16: shapes, which tell as much as colours do, at any size. */
const SHAPES: Readonly<Record<NodeStatus, string>> = {
  verified: 'M4.5 8.5l2.5 2.5 4.5-5.5',
  consistent: 'M5 6.5h6M5 9.5h6',
  signed: 'M6 6.5a2 2 0 1 1 2 2v1M8 11.5v.1',
  failed: 'M5.5 5.5l5 5M10.5 5.5l-5 5',
  missing: 'M5 8v.1M8 8v.1M11 8v.1',
  refused: 'M4.5 8h7',
  denied: 'M4.5 8h2M9.5 8h2',
}

/** The sign of a status; what it means is said beside it. */
export function statusMark(status: NodeStatus, place = ''): string {
  return `<g class="mark ${status}"${place}><circle cx="8" cy="8" r="7.25"/><path d="${SHAPES[status]}"/></g>`
}
