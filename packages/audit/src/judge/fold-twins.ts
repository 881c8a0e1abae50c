import { type AuditFinding, finding } from '../finding.js'
import { detailsOf, type JudgedNode } from './judged-node.js'
import { parentHashes } from './order.js'

/** Entries of a trace, each once. */
export interface Folded {
  readonly nodes: readonly JudgedNode[]
  readonly findings: readonly AuditFinding[]
}

/**
 * K-LOWS: anyone can make another valid signature of an ECDSA signature, and so another hash of the same entry. What is
 * signed is the same, so they are one: the one that others build on stays. Then, an `entry_id` is of one entry (K-ONCE).
 */
export function foldTwins(judged: readonly JudgedNode[]): Folded {
  const named = new Set(judged.flatMap(parentHashes))
  const byContent = new Map<string, JudgedNode>()
  const byId = new Map<string, JudgedNode>()
  const findings: AuditFinding[] = []
  const folded = new Set<JudgedNode>()
  for (const node of judged) {
    if (node.status === 'failed') continue
    if (node.spans.length > 1)
      findings.push(finding('duplicated', `it was exported ${node.spans.length} times`, detailsOf(node)))
    const content = node.parsed.signingInput.toString('latin1')
    const twin = byContent.get(content)
    if (twin !== undefined) {
      findings.push(
        finding('duplicated', 'it came with two valid signatures, and is one entry', detailsOf(node)),
      )
      // Both may be built on; then both stay, for their children's sake.
      if (!named.has(node.parsed.hash)) folded.add(node)
      else if (!named.has(twin.parsed.hash)) folded.add(twin)
      if (!folded.has(node)) byContent.set(content, node)
      continue
    }
    byContent.set(content, node)
    const { entry_id: id } = node.parsed.entry
    const other = byId.get(id)
    if (other === undefined) byId.set(id, node)
    else
      findings.push(
        finding(
          'entry-id-repeated',
          `its entry_id is also that of entry ${other.parsed.hash}`,
          detailsOf(node),
        ),
      )
  }
  return { nodes: judged.filter((node) => !folded.has(node)), findings }
}
