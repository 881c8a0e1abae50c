import { Audit, type AuditFinding, type JudgeOptions, readFiles, type TraceReport } from '@kest/audit'
import { keySourcesOf } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'
import { DOMAIN, ROOTS } from './world.js'

/** What an auditor says who has the files and the bundle. */
export interface Audited {
  readonly traces: ReadonlyMap<string | null, TraceReport>
  /** Findings that are of no trace. */
  readonly general: readonly AuditFinding[]
}

export async function auditOf(
  paths: readonly string[],
  bundle: object,
  options: Pick<JudgeOptions, 'raisers' | 'roots'> = { roots: ROOTS },
): Promise<Audited> {
  const trust = keySourcesOf({ keys: {}, bundles: { [DOMAIN]: bundle } } as never, {
    x509: createX509KeySource,
  })
  await using audit = new Audit({ trust, ...options })
  await audit.read(readFiles(paths))
  const traces = new Map<string | null, TraceReport>()
  for await (const report of audit.traces()) traces.set(report.traceId, report)
  return { traces, general: audit.summary().general }
}
