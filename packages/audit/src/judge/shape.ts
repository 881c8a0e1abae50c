import { type AuditFinding, finding } from '../finding.js'
import { Components } from './components.js'
import type { JudgedNode, Node } from './node.js'

/**
 * Entries that hold and that no other names as a parent, in order; what says how an operation has ended is none, and takes nothing
 * from what is (K-OUTCOME).
 */
export function tipsOf(judged: readonly JudgedNode[], outcomes: ReadonlyMap<string, string> = NONE): Node[] {
  const holding = nodesThatHold(judged).filter(({ hash }) => !outcomes.has(hash))
  const named = new Set(holding.flatMap(({ parents }) => parents))
  return holding.filter(({ hash, source }) => source !== 'foreign' && !named.has(hash))
}

const NONE: ReadonlyMap<string, string> = new Map()

/** A lineage that branches, or several in one trace: what concurrency makes, and what a replay would make. */
export function shapeFindings(
  traceId: string | null,
  judged: readonly JudgedNode[],
  tips: readonly Node[],
): AuditFinding[] {
  const findings: AuditFinding[] = []
  const holding = nodesThatHold(judged)
  const roots = holding.filter((node) => node.parents.length === 0 && node.isOf(traceId))
  // Twins that are both built on are one entry.
  const count = new Set(roots.map(({ entryId }) => entryId)).size
  if (count > 1) findings.push(finding('several-roots', `the trace has ${count} roots`))
  const components = new Components()
  for (const { hash, parents } of holding) for (const parent of parents) components.join(hash, parent)
  const ends = new Map<string, number>()
  for (const { hash } of tips) {
    const lineage = components.of(hash)
    ends.set(lineage, (ends.get(lineage) ?? 0) + 1)
  }
  for (const tipCount of ends.values()) {
    if (tipCount > 1) findings.push(finding('forked', `the lineage ends in ${tipCount} tips`))
  }
  return findings
}

function nodesThatHold(judged: readonly JudgedNode[]): Node[] {
  return judged.filter(({ status }) => status !== 'failed').map(({ node }) => node)
}
