import { hash } from 'node:crypto'
import { bounded } from '../bounded.js'
import { COLOR_STYLE } from './colors.js'
import { CARD_HEIGHT, CARD_WIDTH } from './geometry.js'
import { STATUS } from './graph-node.js'
import { layoutOf } from './layout.js'
import type { LineageGraph } from './lineage-graph.js'
import { headerElement, TOOLS } from './page/header.js'
import { legendElement } from './page/legend.js'
import { denialList, findingList } from './page/lists.js'
import { PAGE_SCRIPT } from './page/script.js'
import { PAGE_STYLE } from './page/style.js'
import { PICTURE_STYLE, TONE_STYLE } from './picture-style.js'
import { svgElement } from './svg.js'
import { escapeXml } from './xml.js'

const STYLE = `${COLOR_STYLE}${PICTURE_STYLE}${TONE_STYLE}${PAGE_STYLE}`

/** The one script and the one style that may run, for whatever page this one stands in. */
export const GRAPH_SOURCES = { script: digest(PAGE_SCRIPT), style: digest(STYLE) } as const

/** Beside them nothing runs, nothing may be fetched, and no text becomes markup. */
const POLICY = [
  "default-src 'none'",
  `script-src '${GRAPH_SOURCES.script}'`,
  `style-src '${GRAPH_SOURCES.style}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** Characters of details, as they are written: of more, each value has no more than its beginning. */
const MAX_DETAILS = 16_777_216
const BEGINNING = 100

/**
 * One page that needs nothing else: the verdict, the picture, the details of each entry, what was found and what was denied. It asks no
 * host for anything, and its policy forbids it to.
 */
export function htmlOf(graph: LineageGraph): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escapeXml(graph.title)}</title>
<style>${STYLE}</style>
</head>
<body>
${headerElement(graph)}
${TOOLS}
<main>
<div id="view">${svgElement(graph, layoutOf(graph))}</div>
${legendElement(graph)}
</main>
<aside id="beside" aria-label="Details" tabindex="0">
<div class="tabs" role="tablist" aria-label="Details"></div>
<section id="details" data-tab="Entry"></section>
${findingList(graph)}
${denialList(graph)}
<p class="help keys"><kbd>Tab</kbd> to the picture; arrows follow the lineage; <kbd>/</kbd> searches; <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom.</p>
</aside>
<script type="application/json" id="data">${dataOf(graph)}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`
}

function dataOf(graph: LineageGraph): string {
  const whole = jsonOf(graph, (value) => value)
  return whole.length <= MAX_DETAILS ? whole : jsonOf(graph, beginningOf)
}

function jsonOf({ nodes, edges }: LineageGraph, cut: (value: string) => string): string {
  return jsonInHtml({
    card: [CARD_WIDTH, CARD_HEIGHT],
    nodes: nodes.map(({ title, operation, status, details }) => ({
      title: cut(title),
      operation: operation && cut(operation),
      status: STATUS[status],
      // The signed entry is bounded elsewhere, and worth nothing in part.
      details: details.map(({ heading, fields }) => ({
        heading,
        fields: fields.map(([label, value]) => [label, label === 'entry' ? value : cut(value)]),
      })),
    })),
    edges,
  })
}

function beginningOf(value: string): string {
  return value.length <= BEGINNING ? value : `${bounded(value, BEGINNING)}… (${value.length} characters)`
}

/** Nothing in it ends the element, or begins another. */
function jsonInHtml(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

function digest(text: string): string {
  return `sha256-${hash('sha256', text, 'base64')}`
}
