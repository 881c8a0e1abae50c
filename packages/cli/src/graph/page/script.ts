import { DETAILS } from './script/details.js'
import { KEYS } from './script/keys.js'
import { TABS } from './script/tabs.js'
import { TEXTS } from './script/texts.js'
import { VIEW } from './script/view.js'

/**
 * What the page does: zoom and pan, details, search, light and dark; all of it by keyboard, too. It is given to the browser as it stands
 * here. It begins with what a reader looks for: an entry that does not hold, or the first one.
 */
export const PAGE_SCRIPT: string = `'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
${VIEW}${TEXTS}${TABS}${DETAILS}${KEYS}
const wrong = nodes.findIndex((node) => node.classList.contains('failed'))
start(Math.max(0, wrong))
if (nodes.length > 0) choose(Math.max(0, wrong))
else openTab(sections.at(-1))
`
