import { hash } from 'node:crypto'
import { layoutOf } from './layout.js'
import type { LineageGraph } from './lineage-graph.js'
import { PAGE_SCRIPT } from './page/script.js'
import { PAGE_STYLE } from './page/style.js'
import { COLOR_STYLE, GRAPH_STYLE, svgElement } from './svg.js'
import { escapeXml } from './xml.js'

const STYLE = `${COLOR_STYLE}${GRAPH_STYLE}${PAGE_STYLE}`

/** The one script and the one style of the page are all that may run in it, and nothing may be fetched. */
const POLICY = [
  "default-src 'none'",
  `script-src '${digest(PAGE_SCRIPT)}'`,
  `style-src '${digest(STYLE)}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/**
 * One page that needs nothing else: the picture, the details of each entry, zoom, search, light and dark. It asks no host
 * for anything, and its policy forbids it to.
 */
export function htmlOf(graph: LineageGraph): string {
  const { title, verdict, findings, nodes, edges } = graph
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escapeXml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escapeXml(title)}</h1><span class="verdict ${toneOf(verdict)}">${escapeXml(verdict)}</span>
<div class="tools">
<input id="search" type="search" placeholder="Search" aria-label="Search entries"><span id="found" role="status"></span>
<button id="out" aria-label="Zoom out">−</button><button id="in" aria-label="Zoom in">+</button><button id="fit">Fit</button>
<button id="theme">Colours: auto</button>
</div>
</header>
<main id="view">${svgElement(graph, layoutOf(graph))}</main>
<aside aria-label="Details">
<div id="details" aria-live="polite"></div>
${findingList(findings)}
<p class="help"><kbd>Tab</kbd> to the picture, arrows follow the lineage, <kbd>/</kbd> searches, <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom.</p>
</aside>
<script type="application/json" id="data">${jsonInHtml({ nodes: nodes.map(dataOf), edges })}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`
}

function dataOf({ title, lines, details }: LineageGraph['nodes'][number]): object {
  return { title, lines, details }
}

function findingList(findings: LineageGraph['findings']): string {
  if (findings.length === 0) return ''
  const items = findings.map(([code, text]) => `<li><code>${escapeXml(code)}</code> ${escapeXml(text)}</li>`)
  return `<h2>Findings</h2><ul>${items.join('')}</ul>`
}

function toneOf(verdict: string): 'good' | 'fair' | 'poor' {
  if (verdict === 'verified') return 'good'
  return verdict.startsWith('broken') ? 'poor' : 'fair'
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
