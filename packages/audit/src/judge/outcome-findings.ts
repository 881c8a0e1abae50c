import { isOutcomeOf } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { detailsOf, type JudgedNode } from './node.js'

/**
 * Entries that say how an operation has ended, each with the hash of that operation's (K-OUTCOME). What calls itself one, and is none,
 * is an operation as any other.
 */
export function outcomesIn(nodes: readonly JudgedNode[]): ReadonlyMap<string, string> {
  const byHash = new Map(nodes.map(({ node }) => [node.hash, node]))
  const outcomes = new Map<string, string>()
  for (const { node, status } of nodes) {
    if (!node.outcome || status === 'failed') continue
    const [parent = ''] = node.parents
    const of = byHash.get(parent)
    if (of !== undefined && isOutcomeOf(node.entry, of)) outcomes.set(node.hash, parent)
  }
  return outcomes
}

/** What calls itself an outcome and is none; operations that have ended twice. */
export function* outcomeFindings(
  nodes: readonly JudgedNode[],
  outcomes: ReadonlyMap<string, string>,
): Generator<AuditFinding> {
  const byHash = new Set(nodes.map(({ node }) => node.hash))
  const ended = new Set<string>()
  for (const { node, status } of nodes) {
    if (!node.outcome || status === 'failed') continue
    const of = outcomes.get(node.hash)
    // What it is of may be missing, which is said.
    if (of === undefined && node.parents.every((hash) => byHash.has(hash)))
      yield finding('outcome-differs', 'it says how an operation has ended, and is of none', detailsOf(node))
    else if (of !== undefined && ended.has(of))
      yield finding('outcome-differs', `entry ${of} has ended more than once`, detailsOf(node))
    if (of !== undefined) ended.add(of)
  }
}
