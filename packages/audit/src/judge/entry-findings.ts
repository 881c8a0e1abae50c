import { type AuditFinding, finding } from '../finding.js'
import { withoutPlace } from './lineage-draft.js'
import { detailsOf, type Failure, type JudgedNode } from './node.js'

/** What is wrong with entries themselves, and what they claim without the lineage for it (K-SEM). */
export function* entryFindings(nodes: readonly JudgedNode[]): Generator<AuditFinding> {
  const traces = new Map(nodes.map(({ node }) => [node.hash, node.traceId]))
  // What another trace has is judged there.
  for (const judged of nodes) if (judged.node.source !== 'foreign') yield* findingsOf(judged, traces)
  yield* foreignFailures(nodes)
}

/** Of entries that rest on one of another trace that does not hold: that is found there, and nothing is proven here. */
function* foreignFailures(nodes: readonly JudgedNode[]): Generator<AuditFinding> {
  const failures = new Map<string, Failure>()
  for (const judged of nodes) {
    const { node, failure } = judged
    const inherited = node.parents.find((hash) => failures.has(hash))
    const known = failure ?? (inherited === undefined ? undefined : failures.get(inherited))
    if (known === undefined) continue
    if (node.source === 'foreign') failures.set(node.hash, known)
    else if (failure === null)
      yield failureFinding(judged, known, `it builds on entry ${known.entryId} of another trace: `)
  }
}

function failureFinding({ node }: JudgedNode, { code, message }: Failure, where = ''): AuditFinding {
  const found = code === 'ERR_KEST_KEY_UNKNOWN' ? 'principal-unknown' : 'broken'
  return finding(found, where + withoutPlace(message), { ...detailsOf(node), cause: code })
}

function* findingsOf(
  judged: JudgedNode,
  traces: ReadonlyMap<string, string | null>,
): Generator<AuditFinding> {
  const { node, failure, findings } = judged
  if (failure !== null) {
    yield failureFinding(judged, failure)
    return
  }
  yield* findings
  const differs = node.parents.some((hash) => {
    const other = traces.get(hash) ?? null
    return node.traceId !== null && other !== null && other !== node.traceId
  })
  if (!differs) return
  const message = 'it continues a lineage of another trace'
  yield finding('trace-differs', message, { ...detailsOf(node), cause: 'ERR_KEST_TRACE' })
}
