import {
  ATTRIBUTE,
  DEFAULT_LIMITS,
  LABEL,
  type ParsedEntry,
  Passport,
  parseEntry,
  ROOT_PARENT,
  SCOPE,
} from '@kest/core'
import { principalOf, type Service } from '../chain.js'
import { Failure } from '../failure.js'
import type { ExportedSpan } from './spans.js'

/** One authorization: the service whose span tells of it, and the signed entry that is its evidence. */
export interface AuditRecord {
  readonly service: Service
  readonly entry: ParsedEntry
}

/** What the spans of a request amount to. Nothing of it is verified yet. */
export interface RebuiltLineage {
  /** In the passport's order. */
  readonly records: readonly AuditRecord[]
  readonly passport: Passport
  /** Each `kest.chain_tip` that no other span has as a parent. */
  readonly tips: readonly string[]
}

/**
 * Rebuilds a passport from the entries in its spans (`kest.signature`), in the order of their hash links. Where a span
 * says something else than the signed entry in it, somebody has changed it.
 *
 * @throws {Failure} for a span that contradicts its entry; `PassportVerificationError` for what is no entry
 */
export function rebuildLineage(spans: readonly ExportedSpan[]): RebuiltLineage {
  const records = inOrder(spans.filter(isEvidence).map(toRecord))
  const parents = new Set(records.flatMap(({ entry }) => entry.entry.parent_ids))
  return {
    records,
    passport: new Passport(records.map(({ entry }) => entry.jws)),
    tips: records.map(({ entry }) => entry.hash).filter((hash) => !parents.has(hash)),
  }
}

/** A denial has no signature, and proves nothing. */
function isEvidence({ scope, attributes }: ExportedSpan): boolean {
  return scope === SCOPE && attributes[ATTRIBUTE.decision] === 'allow'
}

function toRecord({ service, attributes }: ExportedSpan): AuditRecord {
  const parsed = parseEntry(attributes[ATTRIBUTE.signature], { limits: DEFAULT_LIMITS })
  const { hash, entry } = parsed
  const principal = entry.labels[LABEL.principal]
  const signed = {
    [ATTRIBUTE.chainTip]: hash,
    [ATTRIBUTE.entryId]: entry.entry_id,
    [ATTRIBUTE.operation]: entry.operation,
    [ATTRIBUTE.parentHash]: entry.parent_ids.join(','),
    [ATTRIBUTE.trustScore]: entry.trust_score,
    [ATTRIBUTE.workloadId]: principal,
  }
  for (const [name, value] of Object.entries(signed)) {
    if (attributes[name] !== value) {
      throw new Failure(`${service}: the span's ${name} is not what its entry ${entry.entry_id} says`)
    }
  }
  if (principal !== principalOf(service)) {
    throw new Failure(`${service}: the span's entry ${entry.entry_id} is one of ${JSON.stringify(principal)}`)
  }
  return { service, entry: parsed }
}

/** Parents before children. Those whose parents are missing come last, where verification finds them. */
function inOrder(records: readonly AuditRecord[]): AuditRecord[] {
  const ordered: AuditRecord[] = []
  const placed = new Set([ROOT_PARENT])
  let rest = records
  for (;;) {
    const next = rest.filter(({ entry }) => entry.entry.parent_ids.every((parent) => placed.has(parent)))
    if (next.length === 0) return [...ordered, ...rest]
    ordered.push(...next)
    for (const { entry } of next) placed.add(entry.hash)
    rest = rest.filter((record) => !next.includes(record))
  }
}
