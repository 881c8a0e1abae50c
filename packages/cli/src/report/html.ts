import { COLOR_STYLE } from '../graph/colors.js'
import { GRAPH_SOURCES } from '../graph/html.js'
import { TONE_STYLE } from '../graph/picture-style.js'
import { escapeXml } from '../graph/xml.js'
import { digestOf, headElement } from '../page/document.js'
import { findingSection } from './page/findings.js'
import { NAVIGATION, reportHeader, titleOf } from './page/header.js'
import { refusedSection } from './page/refused.js'
import { REPORT_SCRIPT } from './page/script.js'
import { serviceSection } from './page/services.js'
import { REPORT_STYLE } from './page/style.js'
import { safe } from './page/text.js'
import { timelineSection } from './page/timeline-section.js'
import { unprovenSection } from './page/unproven.js'
import { verdictSection } from './page/verdicts.js'
import type { Example } from './tally/examples.js'
import type { ReportData } from './tally/report-tally.js'

const STYLE = `${COLOR_STYLE}${TONE_STYLE}${REPORT_STYLE}`

/** Its own script and style, and those of the pages of traces, which are subject to it: nothing else runs, and nothing is fetched. */
const SOURCES = {
  scripts: [digestOf(REPORT_SCRIPT), ...GRAPH_SOURCES.scripts],
  styles: [digestOf(STYLE), ...GRAPH_SOURCES.styles],
}

/**
 * One page that needs nothing else, of all of an audit: aggregates, bounded whatever there is of it, and the pages of some traces. It asks
 * no host for anything, and its policy forbids it to.
 */
export function reportHtml(data: ReportData): string {
  return `<!doctype html>
<html lang="en">
${headElement(SOURCES, { title: titleOf(data), style: STYLE })}
<body>
<div id="report">
<a class="skip" href="#verdicts">To the verdicts</a>
${reportHeader(data)}
${NAVIGATION}
<main>
${verdictSection(data)}
${unprovenSection(data)}
${findingSection(data)}
${serviceSection(data)}
${timelineSection(data)}
${refusedSection(data)}
</main>
<footer><p>Made by kest audit. The pages of ${data.examples.length} traces are in it; of any other, kest graph makes one. The text of what strangers wrote is shown as it is, and what does not show as \\u{…}.</p></footer>
</div>
<section id="trace" hidden aria-labelledby="h-trace"><p><a id="back" href="#">Back to the report</a> <span class="dim">(Escape)</span></p><h2 id="h-trace" tabindex="-1"></h2><div id="holder"></div></section>
${data.examples.map(templateElement).join('\n')}
<script>${REPORT_SCRIPT}</script>
</body>
</html>
`
}

/** Nothing of it is read as a page before it is opened. */
function templateElement({ id, traceId, html }: Example): string {
  const title = traceId === null ? 'A trace without an id' : `Trace ${safe(traceId, 64)}`
  return `<template id="${id}" data-title="${title}"><iframe title="${title}" srcdoc="${escapeXml(html)}"></iframe></template>`
}
