import { readFile } from 'node:fs/promises'
import { Audit, type AuditSummary, readFiles, type TraceReport } from '@kest/audit'
import { parseRootsFile } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'
import { CHAIN, principalOf, TRUST_DOMAIN } from '../chain.js'
import { configurationFile } from '../files.js'

/** What the Collector's file amounts to, verified by the trust bundle alone. */
export interface Audited {
  readonly summary: AuditSummary
  /** Requests that every hop has a verified entry of, and nothing else has. */
  readonly complete: number
  /** The traces that were asked for. */
  readonly traces: readonly TraceReport[]
}

/**
 * @param bundle of the trust domain, a SPIFFE bundle document
 * @param wanted which traces to keep
 */
export async function auditSpans(
  spansFile: string,
  bundle: unknown,
  wanted: (trace: TraceReport) => boolean,
): Promise<Audited> {
  const deployment = configurationFile('kest/deployment.yaml')
  await using audit = new Audit({
    trust: createX509KeySource({ [TRUST_DOMAIN]: bundle }),
    roots: parseRootsFile(await readFile(deployment, 'utf8'), deployment),
  })
  await audit.read(readFiles([spansFile]))
  const traces: TraceReport[] = []
  let complete = 0
  for await (const trace of audit.traces()) {
    if (isComplete(trace)) complete++
    if (wanted(trace)) traces.push(trace)
  }
  return { summary: audit.summary(), complete, traces }
}

/** What a request was about, as its entries say. */
export function itemOf({ entries }: TraceReport): string | undefined {
  return entries[0]?.entry.labels['item']
}

export function isComplete({ verdict, entries }: TraceReport): boolean {
  return (
    verdict === 'verified' &&
    entries.length === CHAIN.length &&
    CHAIN.every((service, i) => entries[i]?.principal === principalOf(service))
  )
}
