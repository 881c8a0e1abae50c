import type { LineageGraph } from '../lineage-graph.js'
import { escapeXml } from '../xml.js'

/** What the audit found, the gravest first. */
export function findingList({ findings }: LineageGraph): string {
  if (findings.length === 0) return ''
  const items = (['error', 'warning', 'note'] as const).flatMap((gravity) =>
    findings
      .filter(({ severity }) => severity === gravity)
      .map(
        ({ code, text, node }) =>
          `<li class="${gravity}"><strong>${gravity}</strong> <code>${escapeXml(code)}</code> <span>${escapeXml(text)}</span>${gotoButton(node)}</li>`,
      ),
  )
  return `<section id="findings" data-tab="Findings ${findings.length}"><h2>Findings</h2><ul class="list">${items.join('')}</ul></section>`
}

/** What did not run: as is signed, or as far as unsigned spans say. */
export function denialList({ denials, denialCount }: LineageGraph): string {
  if (denialCount === 0) return ''
  const items = denials.map(
    ({ signed, operation, text, node }) =>
      `<li class="error"><strong>${signed ? 'refused' : 'denied'}</strong> <code>${escapeXml(operation)}</code> <span>${escapeXml(text)}</span>${gotoButton(node)}</li>`,
  )
  const more = denialCount - denials.length
  const rest = more === 0 ? '' : `<p>and ${more} more, which the audit counts and does not list</p>`
  return `<section id="denials" data-tab="Denied ${denialCount}"><h2>Denied</h2><p class="help">${helpOf(denials)}</p><ul class="list">${items.join('')}</ul>${rest}</section>`
}

const SIGNED = 'What was refused is signed by who refused it, but for the reason that is given.'
const UNSIGNED = 'As unsigned spans say: a report, never evidence.'

function helpOf(denials: LineageGraph['denials']): string {
  if (!denials.some(({ signed }) => signed)) return UNSIGNED
  return denials.every(({ signed }) => signed)
    ? SIGNED
    : `${SIGNED} What was denied is as unsigned spans say: a report, never evidence.`
}

function gotoButton(node: number | null): string {
  return node === null ? '' : ` <button type="button" data-goto="${node}">show</button>`
}
