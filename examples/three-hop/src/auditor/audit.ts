import { Audit, type Denial, readFiles, type TraceReport } from '@kest/audit'
import { keySourcesOf, type Passport, type TrustDocument } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'
import { Failure } from '../failure.js'
import { ROOTS } from './roots.js'

/** What the spans amount to. */
export interface Audited {
  /** Each request that left an entry, by its operation. */
  readonly lineages: ReadonlyMap<string, VerifiedLineage>
  /** What services refused, as they have signed, or say unsigned. */
  readonly denials: readonly Denial[]
}

/** A request whose entries all hold, with none missing. */
export type VerifiedLineage = TraceReport & { readonly passport: Passport }

/**
 * Rebuilds lineage from exported spans, and judges it by public trust material alone: no service is asked.
 *
 * @param since spans of requests from before are of no interest, milliseconds since the epoch
 * @throws {Failure} when there is anything to find fault with
 */
export async function auditSpans(
  paths: readonly string[],
  trust: TrustDocument,
  since: number,
): Promise<Audited> {
  await using audit = new Audit({
    trust: keySourcesOf(trust, { x509: createX509KeySource }),
    roots: ROOTS,
  })
  await audit.read(readFiles(paths))
  const lineages = new Map<string, VerifiedLineage>()
  const denials: Denial[] = []
  for await (const trace of audit.traces({ since })) {
    denials.push(...trace.denials)
    if (trace.verdict === 'empty') continue
    const { passport, entries } = trace
    const [fault] = trace.findings
    if (trace.verdict !== 'verified' || passport === null || fault !== undefined)
      throw new Failure(`a lineage is ${trace.verdict}: ${fault?.message}`)
    lineages.set(entries[0]?.entry.operation ?? '', { ...trace, passport })
  }
  const [fault] = audit.summary().general.filter(({ severity }) => severity !== 'note')
  if (fault !== undefined) throw new Failure(`the spans are not in order: ${fault.message}`)
  return { lineages, denials }
}
