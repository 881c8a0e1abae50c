import {
  assertOptions,
  createEvidence,
  KestError,
  Passport,
  ROOT_PARENT,
  type RootRule,
  type TrustDocument,
} from '@kest/core'
import type { AuditedEntry, TraceReport } from './judge/audited-entry.js'

/** What evidence is made of. */
export interface EvidenceOptions {
  /** What the trace was judged against; of it, evidence takes what its principals need. */
  readonly trust: TrustDocument
  /** The lineage of this entry alone; default: that of the whole trace, which must be verified. */
  readonly tip?: string
  /** Whether claims that the lineage does not bear out are listed or refused by whoever checks it. Default `report`. */
  readonly semantics?: 'report' | 'enforce'
  /** Who may begin lineage (K-ROOTS), for whoever checks it; default: that is not said. */
  readonly roots?: readonly RootRule[]
}

/**
 * Makes evidence of a trace (SPEC §9.1): the object to hand to `JSON.stringify`, which anyone can check later by itself,
 * with `verifyEvidence` or `kest verify`. It names its tips, so that nothing can be cut off.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` when not all of it is verified, or the tip is not there; `ERR_KEST_LIMIT` when
 *   it is larger than a passport may be
 *
 * @example
 * ```ts
 * await writeFile('order-4711.json', JSON.stringify(evidenceOf(report, { trust })))
 * ```
 */
export function evidenceOf(report: TraceReport, options: EvidenceOptions): Record<string, unknown> {
  assertOptions('evidenceOf', options, ['trust', 'tip', 'semantics', 'roots'])
  const { trust, tip, semantics, roots } = options
  const entries = tip === undefined ? whole(report) : lineageOf(tip, report)
  return createEvidence({
    passport: new Passport(entries.map(({ jws }) => jws)),
    trust: neededOf(trust, entries),
    tip: tip === undefined ? report.tips : [tip],
    ...(semantics === undefined ? {} : { semantics }),
    ...(roots === undefined ? {} : { roots }),
  })
}

function whole({ verdict, entries }: TraceReport): readonly AuditedEntry[] {
  if (verdict === 'verified') return entries
  throw wrong(
    `the trace is ${verdict === 'empty' ? 'without an entry' : verdict}: only of what is verified evidence can be made`,
  )
}

/** An entry and all that it builds on, in order. */
function lineageOf(tip: string, { entries }: TraceReport): readonly AuditedEntry[] {
  const wanted = new Set([tip])
  const lineage: AuditedEntry[] = []
  for (const one of entries.toReversed()) {
    if (!wanted.has(one.hash)) continue
    if (one.status !== 'verified') throw wrong(`entry ${one.hash} is not verified`)
    lineage.push(one)
    for (const parent of one.entry.parent_ids) if (parent !== ROOT_PARENT) wanted.add(parent)
  }
  if (lineage.at(0)?.hash !== tip) throw wrong(`entry ${tip} is not in the trace`)
  return lineage.reverse()
}

function neededOf(
  { keys = {}, bundles = {} }: TrustDocument,
  entries: readonly AuditedEntry[],
): TrustDocument {
  const principals = new Set(entries.map(({ principal }) => principal))
  const domains = new Set([...principals].map((principal) => /^spiffe:\/\/([^/]+)\//.exec(principal)?.[1]))
  return {
    keys: Object.fromEntries(Object.entries(keys).filter(([principal]) => principals.has(principal))),
    bundles: Object.fromEntries(Object.entries(bundles).filter(([domain]) => domains.has(domain))),
  }
}

function wrong(why: string): KestError {
  return new KestError('ERR_KEST_EVIDENCE', why)
}
