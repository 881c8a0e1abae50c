import { type KestEntry, Passport } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type AuditedEntry, serviceOf, type TraceReport, type Verdict } from './audited-entry.js'
import { completeness } from './completeness.js'
import { entryFindings } from './entry-findings.js'
import { FindingList } from './finding-list.js'
import { foldTwins } from './fold-twins.js'
import { judgeDenials } from './judge-denials.js'
import { judgeNodes } from './judge-nodes.js'
import { judgeReceipts } from './judge-receipts.js'
import type { LineageDraft } from './lineage-draft.js'
import { messageFindings } from './message-findings.js'
import type { JudgedNode } from './node.js'
import type { JudgeRules } from './options.js'
import { outcomeFindings, outcomesIn } from './outcome-findings.js'
import { shapeFindings, tipsOf } from './shape.js'
import { heldPassportFinding } from './span-passport.js'

/**
 * Judges one trace. In order: what holds of each entry; twins are one; what is missing; where spans say something else
 * than the entries and denials in them, or have denials that do not hold; which messages came more than once; what shape the lineage has; what policies decide again.
 */
export async function judgeTrace(
  traceId: string | null,
  draft: LineageDraft,
  rules: JudgeRules,
): Promise<TraceReport> {
  const judged = await judgeNodes(traceId, draft.nodes.values(), rules)
  const denied = await judgeDenials(draft.signed, rules)
  const { nodes, findings: twins } = foldTwins(judged)
  const outcomes = outcomesIn(nodes)
  const tips = tipsOf(nodes, outcomes)
  const held = await judgeReceipts(draft, nodes, rules)
  const found = new FindingList()
  for (const one of draft.malformed.list()) found.add(one)
  for (const one of entryFindings(nodes)) found.add(one)
  // Each twin has spans of its own, which say something of it.
  for (const one of completeness(draft, judged)) found.add(one)
  for (const one of contradictions(judged)) found.add(one)
  for (const one of draft.brokenDenials.list()) found.add(one)
  for (const one of denied.findings) found.add(one)
  for (const one of held.findings) found.add(one)
  for (const one of outcomeFindings(nodes, outcomes)) found.add(one)
  for (const one of twins) found.add(one)
  for (const one of messageFindings(nodes)) found.add(one)
  for (const one of shapeFindings(traceId, nodes, tips)) found.add(one)
  if (draft.dropped > 0) found.add(finding('limit', tooMany(draft.dropped)))
  const names = new Set(tips.map(({ hash }) => hash))
  const entries = Object.freeze(nodes.map((node) => auditedEntry(node, names, outcomes)))
  if (rules.replay !== null)
    for (const one of rules.replay.findings(entries, rules.limits.entries)) found.add(one)
  const findings = found.list()
  const verdict = verdictOf(nodes, findings)
  return Object.freeze({
    traceId,
    verdict,
    time: nodes.length > 0 && nodes.every(({ node }) => node.witnessed) ? 'witnessed' : 'self-asserted',
    entries,
    tips: Object.freeze([...names]),
    passport: verdict === 'verified' ? new Passport(lineageOf(entries)) : null,
    denials: Object.freeze([...denied.denials, ...draft.denials]),
    denialCount: draft.denialCount,
    receipts: Object.freeze(held.receipts),
    findings: Object.freeze(findings),
  } satisfies TraceReport)
}

/** How operations have ended is beside the lineage (K-OUTCOME). */
function lineageOf(entries: readonly AuditedEntry[]): string[] {
  return entries.flatMap(({ jws, outcomeOf }) => (outcomeOf === null ? [jws] : []))
}

function tooMany(dropped: number): string {
  return `${dropped} of its spans, or entries in their passports, were not judged: it is larger than memory allows`
}

/** Of entries that do not hold nothing is compared: neither side is a fact. */
function* contradictions(judged: readonly JudgedNode[]): Generator<AuditFinding> {
  const ours = new Set(judged.map(({ node }) => node))
  for (const { node, status } of judged) {
    if (status === 'failed') continue
    if (node.contradictions !== undefined) yield* node.contradictions.list()
    for (const held of node.passports ?? []) {
      const one = heldPassportFinding(node, held, ours)
      if (one !== null) yield one
    }
  }
}

/** `verified` only where every entry is, whatever was found or was not. */
function verdictOf(nodes: readonly JudgedNode[], findings: readonly AuditFinding[]): Verdict {
  const codes = new Set(findings.map(({ code }) => code))
  if (BREAKING.some((code) => codes.has(code))) return 'broken'
  const proven = nodes.every(({ status }) => status === 'verified')
  if (!proven || MISSING.some((code) => codes.has(code))) return 'incomplete'
  return nodes.length === 0 ? 'empty' : 'verified'
}

const BREAKING = ['malformed', 'broken', 'principal-unknown', 'entry-id-repeated'] as const
const MISSING = ['incomplete', 'cut', 'unsigned', 'receipt-without-span', 'limit'] as const

function auditedEntry(
  judged: JudgedNode,
  tips: ReadonlySet<string>,
  outcomes: ReadonlyMap<string, string>,
): AuditedEntry {
  const { node, status, effective, failure } = judged
  const audited = {
    hash: node.hash,
    jws: node.jws,
    entry: node.kept as KestEntry,
    entryId: node.entryId,
    parents: node.parents,
    timestampMs: node.timestampMs,
    status,
    principal: node.principal,
    service: serviceOf(node.principal),
    trustScore: effective?.trustScore ?? null,
    taints: effective?.taints ?? NONE,
    identity: effective?.identity ?? null,
    identityBy: effective?.identityBy ?? null,
    tip: tips.has(node.hash),
    outcomeOf: outcomes.get(node.hash) ?? null,
    spans: node.spans,
    source: node.source,
    claimedService: node.service,
    failure: failure?.code ?? null,
  }
  // Of most it stays; objects with a getter are made several times as slowly.
  if (node.kept === undefined)
    Object.defineProperty(audited, 'entry', { get: () => node.entry, enumerable: true })
  return Object.freeze(audited)
}

const NONE: readonly string[] = Object.freeze([])
