import { type AuditFinding, type FindingDetails, finding } from '../finding.js'
import type { LineageDraft } from './lineage-draft.js'
import { detailsOf, type JudgedNode } from './node.js'

/**
 * What never came: parents of entries that hold (`incomplete`), tips that spans claim (`cut`), entries of spans that tell
 * of an authorization (`unsigned`). Each missing entry is one finding. One that was in a passport can still be proven; that
 * it was never exported is a finding all the same, and so it is when something that does not hold claims to be it. Of one
 * that nobody looked for in other traces (`limit`), nobody says that it is missing.
 */
export function* completeness(draft: LineageDraft, nodes: readonly JudgedNode[]): Generator<AuditFinding> {
  const present = new Map(nodes.map((judged) => [judged.node.hash, judged]))
  const isFailed = (hash: string): boolean => present.get(hash)?.status === 'failed'
  const altered = new Set(draft.malformedTips)
  for (const { hash, by } of draft.claims) if (by !== null && isFailed(by.hash)) altered.add(hash)
  const reported = new Set<string>()
  const isMissing = (hash: string): boolean => {
    const source = present.get(hash)?.node.source
    return source === undefined || source === 'passport'
  }
  const isNowhere = (hash: string): boolean => isMissing(hash) && !draft.elsewhere.has(hash)
  const isNews = (hash: string): boolean => {
    if (!isNowhere(hash) || reported.has(hash)) return false
    reported.add(hash)
    return true
  }
  const missing = (
    code: 'cut' | 'incomplete',
    what: string,
    hash: string,
    details: FindingDetails,
  ): AuditFinding => {
    if (draft.unsought.has(hash)) return finding('limit', `entry ${hash} ${UNSOUGHT}`, details)
    const proven = present.has(hash) ? '; a passport has it, so that it can be proven' : ''
    const claimed = altered.has(hash) ? '; a span whose entry does not hold claims to be it' : ''
    return finding(code, `${what} ${hash} was never exported${proven}${claimed}`, details)
  }
  for (const { hash, place, by } of draft.claims) {
    // Of an entry that does not hold nothing is a fact.
    if (by !== null && (isFailed(by.hash) || !present.has(by.hash))) continue
    if (isNews(hash)) yield missing('cut', 'the tip', hash, { entryHash: hash, place })
  }
  for (const { node, status } of nodes) {
    if (status === 'failed') continue
    const parents = node.parents.filter(isMissing)
    for (const hash of parents)
      if (isNews(hash)) yield missing('incomplete', 'a parent,', hash, detailsOf(node))
    if (!parents.every(isNowhere)) yield finding('limit', BEYOND, detailsOf(node))
  }
  for (const { place, tips } of draft.unsigned) {
    // Which entry it was is known then, and that it is missing has been said.
    if (!tips.some(isNowhere))
      yield finding('unsigned', 'it tells of an authorization, and has no signature', { place })
  }
}

const UNSOUGHT =
  'may be in other traces, and was not looked for: it would have taken more reading, or more memory, than there is for that'
const BEYOND = 'what it builds on in other traces is more than one passport holds, and was not judged here'
