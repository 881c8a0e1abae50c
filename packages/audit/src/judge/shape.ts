import { type AuditFinding, finding } from '../finding.js'
import { Components } from './components.js'
import type { JudgedNode } from './judged-node.js'
import { parentHashes } from './order.js'

/** Entries that hold and that no other names as a parent, in order. */
export function tipsOf(nodes: readonly JudgedNode[]): JudgedNode[] {
  const holding = nodes.filter(({ status }) => status !== 'failed')
  const named = new Set(holding.flatMap(parentHashes))
  return holding.filter(({ parsed, source }) => source !== 'foreign' && !named.has(parsed.hash))
}

/** A lineage that branches, or several in one trace: what concurrency makes, and what a replay would make. */
export function shapeFindings(nodes: readonly JudgedNode[], tips: readonly JudgedNode[]): AuditFinding[] {
  const findings: AuditFinding[] = []
  const roots = nodes.filter((node) => node.status !== 'failed' && parentHashes(node).length === 0)
  if (roots.length > 1) findings.push(finding('several-roots', `the trace has ${roots.length} roots`))
  const components = new Components()
  for (const node of nodes) {
    if (node.status === 'failed') continue
    for (const parent of parentHashes(node)) components.join(node.parsed.hash, parent)
  }
  const ends = new Map<string, number>()
  for (const { parsed } of tips) {
    const lineage = components.of(parsed.hash)
    ends.set(lineage, (ends.get(lineage) ?? 0) + 1)
  }
  for (const count of ends.values()) {
    if (count > 1) findings.push(finding('forked', `the lineage ends in ${count} tips`))
  }
  return findings
}
