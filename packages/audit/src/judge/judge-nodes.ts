import { EntriesVerifier, type EntryVerdict, LABEL } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { statusOf } from './audited-entry.js'
import { withoutPlace } from './lineage-draft.js'
import { detailsOf, type Effective, type JudgedNode, type Node } from './node.js'
import type { JudgeRules } from './options.js'
import { inOrder } from './order.js'

/** Entries that are verified, and so parsed, at once. */
const AT_ONCE = 1_024

/** What holds of each entry, in a passport's order. */
export async function judgeNodes(
  traceId: string | null,
  nodes: Iterable<Node>,
  rules: JudgeRules,
): Promise<JudgedNode[]> {
  const ordered = inOrder(nodes)
  const verifier = new EntriesVerifier(rules.verifier)
  const judged: JudgedNode[] = []
  const worth = new Map<string, Effective | null>()
  for (let from = 0; from < ordered.length; from += AT_ONCE) {
    const some = ordered.slice(from, from + AT_ONCE)
    const verdicts = await verifier.verify(some.map((node) => node.parsed()))
    for (const [i, verdict] of verdicts.entries()) {
      const one = judgedNode(some[i] as Node, verdict, worth)
      worth.set(one.node.hash, one.effective)
      judged.push(one)
    }
  }
  return judged.every(({ node }) => node.source !== 'passport') ? judged : withoutStrays(traceId, judged)
}

/**
 * What only an unsigned passport has is nobody's, and its fault, unless it holds, and is of this trace or of what something that
 * holds builds on.
 */
function withoutStrays(traceId: string | null, judged: readonly JudgedNode[]): JudgedNode[] {
  const named = new Set<string>()
  const kept = judged.toReversed().filter(({ node, status }) => {
    const holds = status !== 'failed'
    const ours = node.source !== 'passport' || (holds && (node.isOf(traceId) || named.has(node.hash)))
    if (ours && holds) for (const hash of node.parents) named.add(hash)
    return ours
  })
  return kept.reverse()
}

function judgedNode(
  node: Node,
  verdict: EntryVerdict,
  worth: ReadonlyMap<string, Effective | null>,
): JudgedNode {
  const { failure, verified, findings } = verdict
  const effective = verified === null ? null : effectiveOf(verified)
  const details = detailsOf(node)
  return {
    node,
    status: statusOf(verdict),
    failure:
      failure === null ? null : { code: failure.code, message: failure.message, entryId: failure.entryId },
    effective,
    findings: [
      ...findings.map(({ kind, code, message }) =>
        finding(kind, withoutPlace(message), { ...details, cause: code }),
      ),
      ...(effective === null ? [] : labelled(verdict, effective, node, worth)),
    ],
  }
}

function effectiveOf({ trustScore, taints, identity, identityBy }: Effective): Effective {
  return { trustScore, taints, identity, identityBy }
}

/** Raises of trust and removals of taints that counted, because a label says them and their signer may (K-EFF). */
function labelled(
  { parsed: { entry } }: EntryVerdict,
  effective: Effective,
  node: Node,
  worth: ReadonlyMap<string, Effective | null>,
): AuditFinding[] {
  const found: AuditFinding[] = []
  const parents = node.parents.flatMap((hash) => worth.get(hash) ?? [])
  const inherited = Math.min(100, ...parents.map(({ trustScore }) => trustScore))
  const by = `${node.principal}, by its label`
  if (effective.trustScore > inherited) {
    const message = `raises trust from ${inherited} to ${effective.trustScore}: ${by}`
    found.push(finding('trust-overridden', message, detailsOf(node)))
  } else if (node.parents.length === 0 && entry.labels[LABEL.trustOverride] !== undefined) {
    const message = `begins with trust ${effective.trustScore}, as overridden: ${by}`
    found.push(finding('trust-overridden', message, detailsOf(node)))
  }
  if (entry.removed_taints.length === 0) return found
  const before = new Set(parents.flatMap(({ taints }) => taints))
  const removed = entry.removed_taints.filter(
    (taint) => before.has(taint) && !effective.taints.includes(taint),
  )
  if (removed.length > 0) {
    const message = `removes ${removed
      .slice(0, 8)
      .map((taint) => JSON.stringify(taint))
      .join(', ')}${removed.length > 8 ? ` and ${removed.length - 8} more` : ''}: ${by}`
    found.push(finding('taint-removed', message, detailsOf(node)))
  }
  return found
}
