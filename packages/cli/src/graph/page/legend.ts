import { LEVELS, levelOf, type NodeStatus, STATUS, type TrustLevel } from '../graph-node.js'
import type { LineageGraph } from '../lineage-graph.js'
import { statusMark } from '../status-mark.js'

const RANGES: Readonly<Record<TrustLevel, string>> = {
  high: `trust ${LEVELS.high}–100`,
  medium: `trust ${LEVELS.medium}–${LEVELS.high - 1}`,
  low: `trust ${LEVELS.low}–${LEVELS.medium - 1}`,
  none: 'trust 0',
  unproven: 'trust not proven',
}

/** Of what is in this picture, and of nothing else: a sign for each status, a colour for each level of trust. */
export function legendElement({ nodes }: LineageGraph): string {
  const statuses = new Set(nodes.map(({ status }) => status))
  const levels = new Set(nodes.map(levelOf))
  const items = [
    ...(Object.keys(STATUS) as NodeStatus[])
      .filter((status) => statuses.has(status))
      .map(
        (status) =>
          `<svg viewBox="0 0 16 16" aria-hidden="true">${statusMark(status)}</svg>${STATUS[status]}`,
      ),
    ...(Object.keys(RANGES) as TrustLevel[])
      .filter((level) => levels.has(level))
      .map((level) => `<span class="swatch ${level}"></span>${RANGES[level]}`),
    ...(nodes.some(({ taints }) => taints.length > 0)
      ? ['<span class="swatch corner tainted"></span>tainted']
      : []),
  ]
  return `<ul class="legend" aria-label="Legend">${items.map((item) => `<li>${item}</li>`).join('')}</ul>`
}
