import { EntriesVerifier } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import type { LineageDraft } from './lineage-draft.js'
import type { JudgedNode } from './node.js'
import type { JudgeRules } from './options.js'
import { brokenReceipt, type DraftedReceipt, type Receipt } from './receipt.js'

/** Receipts of a trace that are verified at once. */
const AT_ONCE = 256

/** What holds of receipts, and who is contradicted by them. */
export interface JudgedReceipts {
  readonly receipts: readonly Receipt[]
  readonly findings: readonly AuditFinding[]
}

/**
 * Holds what neighbours have against what each process exported (K-RECEIPT). A receipt that its principal has signed, and of which
 * that one's process exported no entry, is a contradiction between the two; so is an entry that names a receipt of which there is
 * neither. What does not hold is nobody's, and contradicts nobody.
 */
export async function judgeReceipts(
  { receipts: drafted, brokenReceipts }: Pick<LineageDraft, 'receipts' | 'brokenReceipts'>,
  nodes: readonly JudgedNode[],
  rules: JudgeRules,
): Promise<JudgedReceipts> {
  const findings: AuditFinding[] = [...brokenReceipts.list()]
  const exported = new Map<string, JudgedNode>()
  for (const one of nodes)
    if (one.node.source !== 'passport' && one.status !== 'failed') exported.set(one.node.hash, one)
  const naming = new Map<string, JudgedNode[]>()
  for (const one of nodes) {
    if (one.status === 'failed' || one.node.source === 'foreign') continue
    for (const hash of one.node.receipts) {
      const others = naming.get(hash)
      if (others === undefined) naming.set(hash, [one])
      else others.push(one)
    }
  }
  const receipts: Receipt[] = []
  for (const one of await holding(drafted, rules, findings)) {
    const { hash, entry } = one.parsed
    const by = naming.get(hash) ?? []
    const holder = by[0]?.node.principal ?? principalOf(entry.parent_ids, exported) ?? one.holder
    receipts.push({
      hash,
      principal: entry.labels['principal'] as string,
      operation: entry.operation,
      parents: entry.parent_ids,
      timestampMs: entry.timestamp_ms,
      holder,
      namedBy: by.map(({ node }) => node.hash),
      exported: exported.has(hash),
      place: one.place,
    })
  }
  const known = new Set(receipts.map(({ hash }) => hash))
  for (const receipt of receipts) if (!receipt.exported) findings.push(withoutSpan(receipt))
  for (const [hash, by] of naming) {
    if (known.has(hash) || exported.has(hash)) continue
    const [first] = by
    const message = `${first?.node.principal} has signed that it holds the receipt ${hash}, and neither that nor the entry was exported`
    findings.push(
      finding('receipt-without-span', message, { entryHash: hash, place: first?.node.place ?? null }),
    )
  }
  return { receipts, findings }
}

function withoutSpan({ hash, principal, operation, holder, namedBy, place }: Receipt): AuditFinding {
  const who = holder ?? 'somebody'
  const held = namedBy.length > 0 ? 'has signed that it holds' : 'holds'
  const message = `${who} ${held} entry ${hash} of ${principal} (${operation}), signed by that one, which its own process did not export`
  return finding('receipt-without-span', message, { entryHash: hash, place })
}

/** Whose entries a receipt builds on: it was given to who had sent those. */
function principalOf(
  parents: readonly string[],
  exported: ReadonlyMap<string, JudgedNode>,
): string | undefined {
  const principals = new Set(parents.map((hash) => exported.get(hash)?.node.principal))
  const [only] = principals
  return principals.size === 1 ? only : undefined
}

/** Those that their principals have signed. */
async function holding(
  drafted: readonly DraftedReceipt[],
  rules: JudgeRules,
  findings: AuditFinding[],
): Promise<DraftedReceipt[]> {
  const held: DraftedReceipt[] = []
  for (let from = 0; from < drafted.length; from += AT_ONCE) {
    const some = drafted.slice(from, from + AT_ONCE)
    const verdicts = await new EntriesVerifier(rules.verifier).verify(some.map(({ parsed }) => parsed))
    for (const [i, { failure }] of verdicts.entries()) {
      const one = some[i] as DraftedReceipt
      if (failure === null) held.push(one)
      else findings.push(brokenReceipt(failure, one.place))
    }
  }
  return held
}
