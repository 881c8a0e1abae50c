import type { Limits } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import { detailsOf, type JudgedNode } from './judged-node.js'
import { claimedTips, type LineageDraft, passportTip } from './lineage-draft.js'
import { parentHashes } from './order.js'

/**
 * What never came: parents of entries that hold (`incomplete`), tips that spans claim (`cut`), entries of spans that tell
 * of an authorization (`unsigned`). Each missing entry is one finding. One that was in a passport can still be proven; that
 * it was never exported is a finding all the same. One that came altered is not missing: it is broken.
 */
export function completeness(
  draft: LineageDraft,
  nodes: readonly JudgedNode[],
  limits: Limits,
): AuditFinding[] {
  const present = new Map(nodes.map((node) => [node.parsed.hash, node]))
  const reported = alteredHashes(draft, nodes)
  const findings: AuditFinding[] = []
  const missing = (
    code: 'incomplete' | 'cut',
    hash: string,
    details: { entryHash?: string; place: string | null },
  ): void => {
    const node = present.get(hash)
    if (reported.has(hash) || (node !== undefined && node.source !== 'passport')) return
    reported.add(hash)
    const what = code === 'cut' ? 'the tip' : 'a parent,'
    const proven = node === undefined ? '' : '; a passport has it, so that it can be proven'
    findings.push(finding(code, `${what} ${hash} was never exported${proven}`, details))
  }
  for (const { span, hash } of claims(draft, nodes, limits))
    missing('cut', hash, { place: placeText(span.place) })
  for (const node of nodes) {
    if (node.status === 'failed') continue
    for (const hash of parentHashes(node)) missing('incomplete', hash, detailsOf(node))
  }
  for (const span of draft.unsigned) {
    // Which entry it was is known then, and that it is missing has been said.
    if (claimedTips(span).length > 0 || passportTip(span, limits) !== undefined) continue
    const message = 'it tells of an authorization, and has no signature'
    findings.push(finding('unsigned', message, { place: placeText(span.place) }))
  }
  return findings
}

interface Claim {
  readonly span: ExportedSpan
  readonly hash: string
}

/** Tips that spans claim: of spans whose own entry holds, others than that. */
function claims({ unsigned }: LineageDraft, nodes: readonly JudgedNode[], limits: Limits): Claim[] {
  const spans = [
    ...unsigned,
    ...nodes.filter(({ status }) => status !== 'failed').flatMap((node) => node.spans),
  ]
  return spans.flatMap((span) => {
    const hashes = [...claimedTips(span)]
    const tip = span.claims.signature === undefined ? passportTip(span, limits) : undefined
    if (tip !== undefined) hashes.push(tip)
    return hashes.map((hash) => ({ span, hash }))
  })
}

/** Hashes of the entries that came, but altered: what their spans claim to have been theirs. */
function alteredHashes({ malformed }: LineageDraft, nodes: readonly JudgedNode[]): Set<string> {
  const failed = nodes.filter(({ status }) => status === 'failed').flatMap((node) => node.spans)
  return new Set([...malformed.map(({ span }) => span), ...failed].flatMap(claimedTips))
}
