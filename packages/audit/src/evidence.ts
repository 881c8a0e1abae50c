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
import type { Denial } from './judge/denial.js'

/** What evidence is made of. */
export interface EvidenceOptions {
  /** What the trace was judged against; of it, evidence takes what its principals need. */
  readonly trust: TrustDocument
  /** The lineage of this entry alone, with the denials that build on it; default: that of the whole trace, which must be verified. */
  readonly tip?: string
  /**
   * Whether signed denials go beside the passport. Default `true`; `false` for a trace that has more than evidence may hold: whoever may ask for
   * what is refused can make it so.
   */
  readonly denials?: boolean
  /** Whether claims that the lineage does not bear out are listed or refused by whoever checks it. Default `report`. */
  readonly semantics?: 'report' | 'enforce'
  /** Who may begin lineage (K-ROOTS), for whoever checks it; default: that is not said. */
  readonly roots?: readonly RootRule[]
}

/**
 * Makes evidence of a trace (SPEC §9.1): the object to hand to `JSON.stringify`, which anyone can check later by itself,
 * with `verifyEvidence` or `kest verify`. It names its tips, so that nothing can be cut off. How operations have ended is left out (K-OUTCOME):
 * `tip` may name the entry that says it. Signed denials lie beside the passport
 * (K-DENIAL); what was refused at an edge has nothing but these.
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
  assertOptions('evidenceOf', options, ['trust', 'tip', 'denials', 'semantics', 'roots'])
  const { trust, tip, denials: withDenials = true, semantics, roots } = options
  const entries = tip === undefined ? whole(report, withDenials) : lineageOf(tip, report)
  const denials = withDenials ? deniedIn(report, tip === undefined ? null : entries) : []
  const tips = tip === undefined ? report.tips : [tip]
  return createEvidence({
    passport: new Passport(entries.map(({ jws }) => jws)),
    denials: denials.map(({ signed: { jws } }) => jws),
    trust: neededOf(trust, new Set([...entries, ...denials].map(({ principal }) => principal))),
    ...(tips.length === 0 ? {} : { tip: tips }),
    ...(semantics === undefined ? {} : { semantics }),
    ...(roots === undefined ? {} : { roots }),
  })
}

interface ProvenDenial {
  readonly principal: string
  readonly signed: NonNullable<Denial['signed']>
}

/** @param lineage only those that build on nothing else; `null`: all */
function deniedIn({ denials }: TraceReport, lineage: readonly AuditedEntry[] | null): ProvenDenial[] {
  const hashes = new Set(lineage?.map(({ hash }) => hash))
  return denials.flatMap(({ signed, workloadId, parents }) => {
    const isOf = lineage === null || (parents.length > 0 && parents.every((hash) => hashes.has(hash)))
    return signed !== null && isOf ? [{ principal: workloadId as string, signed }] : []
  })
}

function whole({ verdict, entries, denials }: TraceReport, withDenials: boolean): readonly AuditedEntry[] {
  if (verdict === 'verified') return entries.filter(({ outcomeOf }) => outcomeOf === null)
  if (withDenials && verdict === 'empty' && denials.some(({ signed }) => signed !== null)) return entries
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
  principals: ReadonlySet<string>,
): TrustDocument {
  const domains = new Set([...principals].map((principal) => /^spiffe:\/\/([^/]+)\//.exec(principal)?.[1]))
  return {
    keys: Object.fromEntries(Object.entries(keys).filter(([principal]) => principals.has(principal))),
    bundles: Object.fromEntries(Object.entries(bundles).filter(([domain]) => domains.has(domain))),
  }
}

function wrong(why: string): KestError {
  return new KestError('ERR_KEST_EVIDENCE', why)
}
