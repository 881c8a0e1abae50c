import type { Limits } from '@kest/core'
import { collect } from '../judge/collect.js'
import { Components } from '../judge/components.js'
import { parentHashes } from '../judge/order.js'
import type { ExportedSpan } from '../span/exported-span.js'

/**
 * Spans that name no trace, parted into lineages: entries hang together by their links alone. What is no entry hangs
 * together with nothing, and comes last.
 */
export function splitByLinks(spans: readonly ExportedSpan[], limits: Limits): ExportedSpan[][] {
  const { nodes, malformed, unsigned, denials } = collect(spans, limits)
  const components = new Components()
  for (const node of nodes.values()) {
    for (const parent of parentHashes(node)) components.join(node.parsed.hash, parent)
  }
  const lineages = new Map<string, ExportedSpan[]>()
  for (const node of nodes.values()) {
    const component = components.of(node.parsed.hash)
    const lineage = lineages.get(component)
    if (lineage === undefined) lineages.set(component, [...node.spans])
    else lineage.push(...node.spans)
  }
  const rest = [...malformed.map(({ span }) => span), ...unsigned, ...denials]
  return rest.length === 0 ? [...lineages.values()] : [...lineages.values(), rest]
}
