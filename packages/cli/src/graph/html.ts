import { bounded } from '../bounded.js'
import { digestOf, headElement, type PageSources } from '../page/document.js'
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
export const GRAPH_SOURCES: PageSources = { scripts: [digestOf(PAGE_SCRIPT)], styles: [digestOf(STYLE)] }

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
${headElement(GRAPH_SOURCES, { title: escapeXml(graph.title), style: STYLE })}
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
