import { bounded } from '../bounded.js'
import { CLIPS, cardElement } from './card.js'
import { COLOR_STYLE } from './colors.js'
import { type Layout, MARGIN, type Point } from './geometry.js'
import { layoutOf } from './layout.js'
import type { LineageGraph } from './lineage-graph.js'
import { PICTURE_STYLE, TONE_STYLE } from './picture-style.js'
import { fitted, widthOf } from './text-width.js'
import { escapeXml } from './xml.js'

/** Of what stands above a picture. */
const MAX_HEADING = 900
const HEADING_HEIGHT = 64
/** Characters that are read aloud. */
const MAX_SPOKEN = 300

/** A picture that stands alone, light or dark as its reader has it, and says above what is known of all of it. */
export function svgOf(graph: LineageGraph): string {
  const layout = layoutOf(graph)
  const [verdict, title] = [fitted(graph.verdict, 16, MAX_HEADING), fitted(graph.title, 12, MAX_HEADING)]
  const width = Math.ceil(
    Math.max(layout.width, 2 * MARGIN + Math.max(widthOf(verdict, 16), widthOf(title, 12))),
  )
  const height = layout.height + HEADING_HEIGHT
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<style>${COLOR_STYLE}${PICTURE_STYLE}${TONE_STYLE}.lineage .back{fill:var(--bg)}.lineage .verdict{font-size:16px;font-weight:600}</style>`,
    '<rect class="back" width="100%" height="100%"/>',
    `<text class="verdict" x="${MARGIN}" y="${MARGIN + 16}">${escapeXml(verdict)}</text>`,
    `<text class="line" x="${MARGIN}" y="${MARGIN + 36}">${escapeXml(title)}</text>`,
    `<g transform="translate(0 ${HEADING_HEIGHT})">${svgElement(graph, layout)}</g>`,
    '</svg>\n',
  ].join('')
}

export function svgElement(graph: LineageGraph, layout: Layout): string {
  const { width, height } = layout
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="group" aria-label="${escapeXml(bounded(`${graph.title}: ${graph.verdict}`, MAX_SPOKEN))}">`,
    `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path class="arrow" d="M0 0 8 4 0 8z"/></marker>${CLIPS}</defs>`,
    ...graph.edges.map((edge, i) =>
      edgeElement(graph, edge, layout.edges[i] as readonly Point[], graph.receipts.has(i)),
    ),
    ...graph.nodes.map((node, i) => cardElement(node, layout.nodes[i] as Point)),
    '</svg>',
  ].join('')
}

function edgeElement(
  { nodes }: LineageGraph,
  [parent, child]: readonly [number, number],
  points: readonly Point[],
  isReceipt: boolean,
): string {
  const kind = isReceipt ? ' receipt' : nodes[child]?.status === 'denied' ? ' claimed' : ''
  return `<path class="edge${kind}" data-parent="${parent}" data-child="${child}" marker-end="url(#arrow)" d="${wayOf(points)}"/>`
}

/** Down from the first point and down to the last, without corners. */
function wayOf(points: readonly Point[]): string {
  const [first, ...rest] = points as readonly [Point, ...Point[]]
  const last = rest.at(-1) ?? first
  if (rest.length < 2) {
    const middle = (first.y + last.y) / 2
    return `M${first.x} ${first.y}C${first.x} ${middle} ${last.x} ${middle} ${last.x} ${last.y}`
  }
  const bends = rest.slice(0, -1).map((at, i) => {
    const next = rest[i + 1] as Point
    const end = i === rest.length - 2 ? next : { x: (at.x + next.x) / 2, y: (at.y + next.y) / 2 }
    return `Q${at.x} ${at.y} ${end.x} ${end.y}`
  })
  return `M${first.x} ${first.y}${bends.join('')}`
}
