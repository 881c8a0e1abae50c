import { bounded } from '../bounded.js'
import { CARD_HEIGHT, CARD_WIDTH, type Point } from './geometry.js'
import { type GraphNode, levelOf, type NodeStatus } from './graph-node.js'
import { statusMark } from './status-mark.js'
import { fitted, widthOf } from './text-width.js'
import { escapeXml } from './xml.js'

/** Where texts begin and end; the sign of the status is to the right of the name. */
const LEFT = 16
const RIGHT = CARD_WIDTH - 10
const NAME = { y: 24, size: 14, width: RIGHT - LEFT - 24 } as const
const OPERATION = { y: 43, size: 12, width: RIGHT - LEFT } as const
const BADGE = { y: 55, height: 19, size: 11, padding: 7, gap: 6 } as const
/** Bold letters are so much wider. */
const BOLD = 1.1
/** Characters that are read aloud, or shown where the pointer rests. */
const MAX_SPOKEN = 300

/** Nothing is seen outside of the line that it belongs to, whatever is stacked upon a letter. */
export const CLIPS: string = [
  ['clip-card', 0, 0, CARD_WIDTH, CARD_HEIGHT],
  ['clip-name', LEFT, NAME.y - 18, NAME.width, 24],
  ['clip-line', LEFT, OPERATION.y - 14, OPERATION.width, 20],
  ['clip-badges', LEFT, BADGE.y, RIGHT - LEFT, BADGE.height],
]
  .map(
    ([id, x, y, width, height]) =>
      `<clipPath id="${id}"><rect x="${x}" y="${y}" width="${width}" height="${height}"/></clipPath>`,
  )
  .join('')

const STATES: Readonly<Record<NodeStatus, string | null>> = {
  verified: null,
  consistent: null,
  signed: 'lineage not proven',
  failed: 'does not hold',
  missing: 'never exported',
  refused: 'refused',
  denied: 'denied, unsigned',
}

/** An entry as a card: who, what, how far it is to be trusted. */
export function cardElement(node: GraphNode, { x, y }: Point): string {
  const { index, status, title, lines, operation, taints } = node
  const spoken = escapeXml(bounded([title, ...lines].join('. '), MAX_SPOKEN))
  const level = levelOf(node)
  return [
    `<g class="node ${status} ${level}" data-node="${index}" transform="translate(${x} ${y})" role="img" aria-label="${spoken}">`,
    `<title>${spoken}</title><rect class="card" width="${CARD_WIDTH}" height="${CARD_HEIGHT}" rx="8"/>`,
    `<path class="stripe" d="M8 0H6a6 6 0 0 0-6 6v${CARD_HEIGHT - 12}a6 6 0 0 0 6 6h2z"/>`,
    taints.length === 0
      ? ''
      : `<path class="stripe tainted corner" d="M${CARD_WIDTH - 22} ${CARD_HEIGHT}h14a8 8 0 0 0 8-8v-14z"/>`,
    textElement('name', NAME, title),
    operation === null ? '' : textElement('line', OPERATION, operation),
    `<g class="badges" clip-path="url(#clip-badges)">${badges(node, level)}</g>`,
    statusMark(status, ` transform="translate(${RIGHT - 17} 9)"`),
    '</g>',
  ].join('')
}

function textElement(
  name: 'name' | 'line',
  { y, size, width }: { readonly y: number; readonly size: number; readonly width: number },
  text: string,
): string {
  return `<g class="texts" clip-path="url(#clip-${name})"><text class="${name}" x="${LEFT}" y="${y}">${escapeXml(fitted(text, name === 'name' ? size * BOLD : size, width))}</text></g>`
}

function badges({ status, trust, taints }: GraphNode, level: string): string {
  const state = STATES[status]
  const some = [
    ...(state === null ? [] : [['state', state] as const]),
    ...(trust === null ? [] : [[level, `trust ${trust}`] as const]),
    ...(taints.length === 0 ? [] : [['tainted', taintText(taints)] as const]),
  ]
  let x = LEFT
  return some
    .map(([tone, text]) => {
      const room = RIGHT - x - 2 * BADGE.padding
      const shown = fitted(text, BADGE.size * BOLD, room)
      const width = Math.min(room, Math.ceil(widthOf(shown, BADGE.size * BOLD))) + 2 * BADGE.padding
      const at = x
      x += width + BADGE.gap
      return `<g class="badge ${tone}"><rect x="${at}" y="${BADGE.y}" width="${width}" height="${BADGE.height}" rx="9.5"/><text x="${at + BADGE.padding}" y="${BADGE.y + 13.5}">${escapeXml(shown)}</text></g>`
    })
    .join('')
}

function taintText([first, ...others]: readonly string[]): string {
  return others.length === 0
    ? `taint ${first}`
    : `${others.length + 1} taints: ${[first, ...others].slice(0, 8).join(', ')}`
}
