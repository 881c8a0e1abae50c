import { LABEL } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { placeText } from '../span/exported-span.js'
import { detailsOf, type JudgedNode } from './judged-node.js'
import type { LineageDraft } from './lineage-draft.js'
import { parentHashes } from './order.js'

/** What is wrong with entries themselves, and what they claim without the lineage for it (K-SEM). */
export function entryFindings({ malformed }: LineageDraft, nodes: readonly JudgedNode[]): AuditFinding[] {
  const traces = new Map(nodes.map(({ parsed }) => [parsed.hash, parsed.entry.labels[LABEL.traceId]]))
  return [
    ...malformed.map(({ span, error }) =>
      finding('malformed', withoutPlace(error.message), { cause: error.code, place: placeText(span.place) }),
    ),
    // What another trace has is judged there.
    ...nodes.filter(({ source }) => source !== 'foreign').flatMap((node) => findingsOf(node, traces)),
    ...foreignFailures(nodes),
  ]
}

/** Of entries that rest on one of another trace that does not hold: that is found there, and nothing is proven here. */
function foreignFailures(nodes: readonly JudgedNode[]): AuditFinding[] {
  const failures = new Map<string, Failure>()
  const findings: AuditFinding[] = []
  for (const node of nodes) {
    const { failure } = node.verdict
    const known =
      failure ??
      parentHashes(node)
        .map((hash) => failures.get(hash))
        .find(Boolean)
    if (known === undefined) continue
    if (node.source === 'foreign') failures.set(node.parsed.hash, known)
    else if (failure === null) {
      const where = `it builds on entry ${known.entryId} of another trace: `
      findings.push(failureFinding(node, known, where))
    }
  }
  return findings
}

type Failure = NonNullable<JudgedNode['verdict']['failure']>

function failureFinding(node: JudgedNode, { code, message }: Failure, where = ''): AuditFinding {
  const found = code === 'ERR_KEST_KEY_UNKNOWN' ? 'principal-unknown' : 'broken'
  return finding(found, where + withoutPlace(message), { ...detailsOf(node), cause: code })
}

function findingsOf(node: JudgedNode, traces: ReadonlyMap<string, string | undefined>): AuditFinding[] {
  const { verdict, parsed } = node
  const details = detailsOf(node)
  if (verdict.failure !== null) return [failureFinding(node, verdict.failure)]
  const found = verdict.findings.map(({ kind, code, message }) =>
    finding(kind, withoutPlace(message), { ...details, cause: code }),
  )
  const own = parsed.entry.labels[LABEL.traceId]
  const differs = parentHashes(node).some((hash) => {
    const other = traces.get(hash)
    return own !== undefined && other !== undefined && other !== own
  })
  if (differs) {
    const message = 'it continues a lineage of another trace'
    found.push(finding('trace-differs', message, { ...details, cause: 'ERR_KEST_TRACE' }))
  }
  return found
}

/** Core says at which entry of a list: here that is the finding's own. */
function withoutPlace(message: string): string {
  return message.replace(/^entry(?: \d+)?: /, '')
}
