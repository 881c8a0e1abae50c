import type { Limits } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import { detailsOf, type JudgedNode } from './judged-node.js'
import { claimedTip, type LineageDraft, passportTip } from './lineage-draft.js'
import { parentHashes } from './order.js'

/**
 * What never came: parents of entries that hold (`incomplete`), tips that spans claim (`cut`), entries of spans that tell
 * of an authorization (`unsigned`). Each missing entry is one finding. One that was in a passport can still be proven; that
 * it was never exported is a finding all the same, and so it is when something that does not hold claims to be it.
 */
export function completeness(
  draft: LineageDraft,
  nodes: readonly JudgedNode[],
  limits: Limits,
): AuditFinding[] {
  const present = new Map(nodes.map((node) => [node.parsed.hash, node]))
  const altered = alteredHashes(draft, nodes)
  const reported = new Set<string>()
  const findings: AuditFinding[] = []
  const isMissing = (hash: string): boolean => {
    const node = present.get(hash)
    return node === undefined || node.source === 'passport'
  }
  const isNowhere = (hash: string): boolean => isMissing(hash) && !draft.elsewhere.has(hash)
  const missing = (
    code: 'incomplete' | 'cut',
    hash: string,
    details: { entryHash?: string; place: string | null },
  ): void => {
    if (reported.has(hash)) return
    reported.add(hash)
    const what = code === 'cut' ? 'the tip' : 'a parent,'
    const proven = present.has(hash) ? '; a passport has it, so that it can be proven' : ''
    const claimed = altered.has(hash) ? '; a span whose entry does not hold claims to be it' : ''
    findings.push(finding(code, `${what} ${hash} was never exported${proven}${claimed}`, details))
  }
  for (const { span, hash } of claims(draft, nodes, limits))
    if (isNowhere(hash)) missing('cut', hash, { entryHash: hash, place: placeText(span.place) })
  for (const node of nodes) {
    if (node.status === 'failed') continue
    const parents = parentHashes(node).filter(isMissing)
    for (const hash of parents) if (isNowhere(hash)) missing('incomplete', hash, detailsOf(node))
    if (!parents.every(isNowhere)) findings.push(finding('limit', BEYOND, detailsOf(node)))
  }
  for (const span of draft.unsigned) {
    // Which entry it was is known then, and that it is missing has been said.
    if (tipsClaimedBy(span, limits).some(isNowhere)) continue
    const message = 'it tells of an authorization, and has no signature'
    findings.push(finding('unsigned', message, { place: placeText(span.place) }))
  }
  return findings
}

const BEYOND = 'what it builds on in other traces is more than one passport holds, and was not judged here'

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
  return spans.flatMap((span) => tipsClaimedBy(span, limits).map((hash) => ({ span, hash })))
}

function tipsClaimedBy(span: ExportedSpan, limits: Limits): readonly string[] {
  const tips = [claimedTip(span), span.claims.signature === undefined ? passportTip(span, limits) : undefined]
  return tips.filter((tip) => tip !== undefined)
}

/** What the spans of entries that do not hold claim to be: somebody may have altered them. */
function alteredHashes({ malformed }: LineageDraft, nodes: readonly JudgedNode[]): Set<string | undefined> {
  const failed = nodes.filter(({ status }) => status === 'failed').flatMap((node) => node.spans)
  return new Set([...malformed.map(({ span }) => span), ...failed].map(claimedTip))
}
