import { type Layout, LINE_HEIGHT, MARGIN, NODE_WIDTH, type Point } from './geometry.js'
import { layoutOf } from './layout.js'
import type { GraphNode, LineageGraph } from './lineage-graph.js'
import { escapeXml } from './xml.js'

/** Characters of a line that fit into a node. */
const MAX_CHARACTERS = 37
/** Of a line above the picture, and how much room one takes. */
const MAX_HEADING = 80
const CHARACTER_WIDTH = 8
const HEADING_HEIGHT = 2 * LINE_HEIGHT + MARGIN

/** Colours of both schemes; where somebody chose one, `data-theme` of the page says so. */
const LIGHT = `--bg:#fff;--fg:#202124;--dim:#5f6368;--line:#80868b;--ok:#137333;--ok-bg:#e6f4ea;--warn:#b06000;--warn-bg:#fef7e0;--bad:#c5221f;--bad-bg:#fce8e6;--none-bg:#f1f3f4;--focus:#1a73e8`
const DARK = `--bg:#17181a;--fg:#e8eaed;--dim:#9aa0a6;--line:#80868b;--ok:#81c995;--ok-bg:#14301e;--warn:#fdd663;--warn-bg:#3a2d09;--bad:#f28b82;--bad-bg:#3c1614;--none-bg:#2a2c2f;--focus:#8ab4f8`

export const COLOR_STYLE: string = `:root{color-scheme:light dark;${LIGHT}}@media (prefers-color-scheme:dark){:root:not([data-theme=light]){${DARK}}}:root[data-theme=dark]{${DARK}}`

export const GRAPH_STYLE: string =
  `.lineage text{font:13px system-ui,sans-serif;fill:var(--fg)}.lineage .name{font-weight:600}` +
  `.lineage .line{fill:var(--dim);font-size:12px}.lineage rect{stroke-width:1.5;rx:8px}` +
  `.lineage .edge{fill:none;stroke:var(--line);stroke-width:1.5}.lineage .arrow{fill:var(--line)}` +
  `.lineage .verified rect{fill:var(--ok-bg);stroke:var(--ok)}.lineage .signed rect{fill:var(--warn-bg);stroke:var(--warn)}` +
  `.lineage .consistent rect{fill:var(--none-bg);stroke:var(--fg)}` +
  `.lineage .failed rect{fill:var(--bad-bg);stroke:var(--bad);stroke-width:2.5}` +
  `.lineage .missing rect{fill:var(--none-bg);stroke:var(--dim);stroke-dasharray:5 4}`

/** A picture that stands alone, light or dark as its reader has it, and says above what is known of all of it. */
export function svgOf(graph: LineageGraph): string {
  const layout = layoutOf(graph)
  const [title, verdict] = [graph.title, graph.verdict].map((text) => shortened(text, MAX_HEADING)) as [
    string,
    string,
  ]
  const width = Math.max(layout.width, 2 * MARGIN + CHARACTER_WIDTH * Math.max(title.length, verdict.length))
  const height = layout.height + HEADING_HEIGHT
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<style>${COLOR_STYLE}${GRAPH_STYLE}.lineage .back{fill:var(--bg)}</style><rect class="back" width="100%" height="100%"/>`,
    `<text class="name" x="${MARGIN}" y="${MARGIN + LINE_HEIGHT}">${escapeXml(verdict)}</text>`,
    `<text class="line" x="${MARGIN}" y="${MARGIN + 2 * LINE_HEIGHT}">${escapeXml(title)}</text>`,
    `<g transform="translate(0 ${HEADING_HEIGHT})">${svgElement(graph, layout)}</g>`,
    '</svg>\n',
  ].join('')
}

export function svgElement(graph: LineageGraph, layout: Layout): string {
  const { width, height } = layout
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="group" aria-label="${escapeXml(`${graph.title}: ${graph.verdict}`)}">`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="arrow" d="M0 0 8 4 0 8z"/></marker></defs>',
    ...layout.edges.map((points, i) => edgeElement(points, graph.edges[i] as readonly [number, number])),
    ...graph.nodes.map((node, i) => nodeElement(node, layout.nodes[i] as Layout['nodes'][number])),
    '</svg>',
  ].join('')
}

function edgeElement(points: readonly Point[], [parent, child]: readonly [number, number]): string {
  const [first, ...rest] = points as [Point, ...Point[]]
  const path = `M${first.x} ${first.y}${rest.map(({ x, y }) => `L${x} ${y}`).join('')}`
  return `<path class="edge" data-parent="${parent}" data-child="${child}" marker-end="url(#arrow)" d="${path}"/>`
}

function nodeElement(
  { index, status, title, lines }: GraphNode,
  { x, y, height }: Layout['nodes'][number],
): string {
  const spoken = escapeXml([title, ...lines].join('. '))
  const texts = [title, ...lines].map(
    (line, i) =>
      `<text class="${i === 0 ? 'name' : 'line'}" x="14" y="${(i + 1) * LINE_HEIGHT + 7}">${escapeXml(shortened(line, MAX_CHARACTERS))}</text>`,
  )
  return (
    `<g class="node ${status}" data-node="${index}" transform="translate(${x} ${y})" role="img" aria-label="${spoken}">` +
    `<title>${spoken}</title><rect width="${NODE_WIDTH}" height="${height}" rx="8"/>${texts.join('')}</g>`
  )
}

function shortened(text: string, most: number): string {
  const characters = [...text]
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`
}
