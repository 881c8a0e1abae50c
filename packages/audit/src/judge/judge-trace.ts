import { type EntryVerdict, Passport, verifyEntries } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { placeText } from '../span/exported-span.js'
import {
  type AuditedEntry,
  type Denial,
  serviceOf,
  statusOf,
  type TraceReport,
  type Verdict,
} from './audited-entry.js'
import { isOfTrace } from './collect.js'
import { completeness } from './completeness.js'
import { crossCheck } from './cross-check.js'
import { entryFindings } from './entry-findings.js'
import { foldTwins } from './fold-twins.js'
import { isExported, type JudgedNode } from './judged-node.js'
import type { LineageDraft } from './lineage-draft.js'
import type { JudgeRules } from './options.js'
import { inOrder, parentHashes } from './order.js'
import { shapeFindings, tipsOf } from './shape.js'

/**
 * Judges one trace. In order: what holds of each entry; twins are one; what is missing; where spans say something else
 * than the entries in them; what shape the lineage has.
 */
export async function judgeTrace(
  traceId: string | null,
  draft: LineageDraft,
  dropped: number,
  rules: JudgeRules,
): Promise<TraceReport> {
  const judged = await judgeNodes(traceId, draft, rules)
  const { nodes, findings: twins } = foldTwins(judged)
  const tips = tipsOf(nodes)
  const findings = [
    ...entryFindings(draft, nodes),
    // Each twin has spans of its own, which say something of it.
    ...completeness(draft, judged, rules.limits),
    ...crossCheck(draft, judged, rules),
    ...twins,
    ...shapeFindings(nodes, tips),
    ...(dropped === 0 ? [] : [finding('limit', `it has ${dropped} more spans than fit into memory`)]),
  ]
  const verdict = verdictOf(nodes, findings)
  const names = new Set(tips.map(({ parsed }) => parsed.hash))
  return Object.freeze({
    traceId,
    verdict,
    time: nodes.length > 0 && nodes.every(isWitnessed) ? 'witnessed' : 'self-asserted',
    entries: Object.freeze(nodes.map((node) => auditedEntry(node, names))),
    tips: Object.freeze([...names]),
    passport: verdict === 'verified' ? new Passport(nodes.map(({ parsed }) => parsed.jws)) : null,
    denials: Object.freeze(draft.denials.map(denialOf)),
    findings: Object.freeze(findings),
  } satisfies TraceReport)
}

async function judgeNodes(
  traceId: string | null,
  draft: LineageDraft,
  rules: JudgeRules,
): Promise<JudgedNode[]> {
  const ordered = inOrder(draft.nodes.values())
  const verdicts = await verifyEntries(
    ordered.map(({ parsed }) => parsed),
    rules.verify,
  )
  const judged = ordered.map((node, i): JudgedNode => {
    const verdict = verdicts[i] as EntryVerdict
    return { ...node, verdict, status: statusOf(verdict) }
  })
  return judged.every(({ source }) => isExported(source)) ? judged : withoutStrays(traceId, judged)
}

/**
 * What only an unsigned passport has is nobody's, and its fault, unless it holds, and is of this trace or of what something that
 * holds builds on.
 */
function withoutStrays(traceId: string | null, judged: readonly JudgedNode[]): JudgedNode[] {
  const named = new Set<string>()
  const kept = judged.toReversed().filter((node) => {
    const holds = node.status !== 'failed'
    const ours =
      isExported(node.source) || (holds && (isOfTrace(traceId, node) || named.has(node.parsed.hash)))
    if (ours && holds) for (const hash of parentHashes(node)) named.add(hash)
    return ours
  })
  return kept.reverse()
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
const MISSING = ['incomplete', 'cut', 'unsigned', 'limit'] as const

function isWitnessed({ spans }: JudgedNode): boolean {
  return spans.some(({ receivedAt }) => receivedAt !== null)
}

function auditedEntry(node: JudgedNode, tips: ReadonlySet<string>): AuditedEntry {
  const { parsed, verdict, status, spans, source } = node
  return Object.freeze({
    hash: parsed.hash,
    jws: parsed.jws,
    entry: parsed.entry,
    status,
    principal: verdict.principal,
    service: serviceOf(verdict.principal),
    trustScore: verdict.verified?.trustScore ?? null,
    taints: verdict.verified?.taints ?? NONE,
    identity: verdict.verified?.identity ?? null,
    identityBy: verdict.verified?.identityBy ?? null,
    tip: tips.has(parsed.hash),
    spans: spans.length,
    source,
    claimedService: spans[0]?.service ?? null,
    failure: verdict.failure?.code ?? null,
  })
}

const NONE: readonly string[] = Object.freeze([])

function denialOf({ claims, service, place }: LineageDraft['denials'][number]): Denial {
  return Object.freeze({
    operation: textOf(claims.operation),
    workloadId: textOf(claims.workloadId),
    entryId: textOf(claims.entryId),
    code: textOf(claims.errorType),
    reason: textOf(claims.reason),
    service,
    place: placeText(place),
  })
}

function textOf(claim: unknown): string | null {
  return typeof claim === 'string' ? claim : null
}
