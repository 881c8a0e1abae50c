import { LABEL, SPAN_PREFIX } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type ExportedSpan, placeText } from '../span/exported-span.js'
import type { JudgedNode } from './judged-node.js'
import type { LineageDraft } from './lineage-draft.js'
import type { JudgeRules } from './options.js'
import { parentHashes } from './order.js'
import { timeFinding } from './time.js'

/**
 * Where spans say something else than the signed entries in them, which stand (K-AUDIT). Of entries that do not hold
 * nothing is compared: neither side is a fact.
 */
export function crossCheck(
  { passports }: LineageDraft,
  nodes: readonly JudgedNode[],
  rules: JudgeRules,
): AuditFinding[] {
  const hashes = new Map(nodes.map(({ parsed }) => [parsed.jws, parsed.hash]))
  const findings: AuditFinding[] = []
  for (const node of nodes) {
    if (node.status === 'failed') continue
    for (const span of node.spans) {
      const details = { entryHash: node.parsed.hash, place: placeText(span.place) }
      const names = differences(span, node)
      if (names.length > 0) {
        const message = `the span says something else than its entry: ${names.join(', ')}`
        findings.push(finding('attribute-differs', message, details))
      }
      const passport = passportDifference(passports.get(span), node, hashes)
      if (passport !== null) findings.push(finding('passport-differs', passport, details))
      const time = timeFinding(span, node, rules)
      if (time !== null) findings.push(finding('time', time, details))
    }
  }
  return findings
}

/** Names of what differs. What a span leaves out is no difference. */
function differences({ claims, name, traceId, spanId }: ExportedSpan, { parsed }: JudgedNode): string[] {
  const { entry, hash } = parsed
  const { trace_id: ownTrace, span_id: ownSpan } = entry.otel_context
  const pairs: readonly (readonly [name: string, claimed: unknown, signed: unknown])[] = [
    ['kest.entry_id', claims.entryId, entry.entry_id],
    ['kest.operation', claims.operation, entry.operation],
    ['kest.workload_id', claims.workloadId, entry.labels[LABEL.principal]],
    ['kest.trust_score', claims.trustScore, entry.trust_score],
    ['kest.parent_hash', claims.parentHash, entry.parent_ids.join(',')],
    ['kest.trace_id', claims.traceId, entry.labels[LABEL.traceId]],
    ['kest.chain_tip', claims.chainTip, hash],
    ['kest.decision', claims.decision, 'allow'],
    ['the name', name === '' ? undefined : name, SPAN_PREFIX + entry.operation],
    ['the trace id', traceId ?? undefined, typeof ownTrace === 'string' ? ownTrace : traceId],
    ['the span id', spanId ?? undefined, typeof ownSpan === 'string' ? ownSpan : spanId],
  ]
  return pairs.flatMap(([of, claimed, signed]) => (claimed === undefined || claimed === signed ? [] : [of]))
}

/** A passport ends with the span's own entry, and has that one's parents. */
function passportDifference(
  entries: readonly string[] | null | undefined,
  node: JudgedNode,
  hashes: ReadonlyMap<string, string>,
): string | null {
  if (entries === undefined) return null
  if (entries === null) return 'the passport in the span cannot be read'
  if (entries.at(-1) !== node.parsed.jws) return 'the passport in the span does not end with its entry'
  const held = new Set(entries.map((jws) => hashes.get(jws)))
  if (held.has(undefined))
    return 'the passport in the span holds an entry that does not hold, or is of another lineage'
  return parentHashes(node).every((hash) => held.has(hash))
    ? null
    : 'the passport in the span lacks a parent of its entry'
}
