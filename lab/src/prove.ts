import { join, relative } from 'node:path'
import type { TrustDocument } from '@kest/core'
import { type Audited, auditSpans, isComplete, itemOf } from './audit/audit.js'
import { copyWhole, fileEvidence, writeJson } from './audit/evidence.js'
import { auditRows, auditTable } from './audit/table.js'
import { tamper } from './audit/tamper.js'
import { TRUST_DOMAIN } from './chain.js'
import { SHOWN_ITEM } from './demonstration.js'
import { Failure } from './failure.js'
import { OUT } from './files.js'
import type { Report } from './report.js'
import { verdictsIn } from './servers/auditor.js'
import { until } from './supervisor/until.js'
import type { Watch } from './supervisor/watch.js'

const EXPORT_MS = 180_000

/** What is to be proved, and by what. */
export interface Exhibits {
  readonly spansFile: string
  /** Of the trust domain, a SPIFFE bundle document. */
  readonly bundle: unknown
  /** Requests that were answered. */
  readonly answered: number
  /** Where evidence is filed. */
  readonly out: string
}

/** @throws {Failure} unless every request that was answered is proven, by every hop, and nothing is broken */
export async function prove({ spansFile, bundle, answered, out }: Exhibits, report: Report): Promise<void> {
  const audited = await auditSpans(spansFile, bundle, (trace) => itemOf(trace) === SHOWN_ITEM)
  const trace = audited.traces.find(isComplete)
  if (trace === undefined || trace.passport === null)
    throw new Failure(`the request is not proven\n${described(audited)}`)
  report.say(`\n${auditTable(trace.entries)}\n`)
  report.fact('audit', { ...counts(audited), entries: auditRows(trace.entries) })
  if (audited.complete !== answered || problems(audited) > 0)
    throw new Failure(
      `${answered} requests were answered, ${audited.complete} are proven\n${described(audited)}`,
    )
  report.say('SUCCESS: Distributed Merkle Lineage Verified.')
  if (answered > 1) report.say(`So are all ${answered} requests that were answered.`)

  const trust = { bundles: { [TRUST_DOMAIN]: bundle } } as TrustDocument
  const evidenceFile = join(out, 'evidence.json')
  const bundleFile = join(out, 'bundle.json')
  await writeJson(bundleFile, bundle)
  await writeJson(join(out, 'trust.json'), trust)
  await fileEvidence(evidenceFile, trace.passport, trace.tips, trust)
  // The newest, where one would look for it. Another lab may have been there first, or be there next.
  await copyWhole(evidenceFile, join(OUT, 'evidence.json'))
  report.fact('evidence', evidenceFile)
  const anchor = `${TRUST_DOMAIN}=${here(bundleFile)}`
  report.say(`Check it yourself: npx kest audit ${here(spansFile)} --trust ${anchor}\n`)

  report.say('Then somebody tampers with it:')
  const found = await tamper(trace.entries, trace.tips, trust)
  for (const { what, at, code, reason } of found) report.say(`FAILED: ${what}: ${at}: ${code}, ${reason}`)
  report.fact('tampered', found)
}

/**
 * What auditors on Kafka have said is what the file says, of each trace.
 *
 * @param logs of the auditors
 * @throws {Failure} when it does not become so
 */
export async function proveOnKafka(
  { spansFile, bundle }: Exhibits,
  logs: readonly string[],
  report: Report,
  watch: Watch,
): Promise<void> {
  const { traces } = await auditSpans(spansFile, bundle, () => true)
  let differ: readonly string[] = []
  await until(
    async () => {
      const verdicts = await verdictsIn(logs)
      differ = traces
        .filter(({ traceId, verdict }) => verdicts.get(traceId as string) !== verdict)
        .map(({ traceId, verdict }) => `${traceId}: ${verdicts.get(traceId as string)}, not ${verdict}`)
      return differ.length === 0 ? true : undefined
    },
    {
      timeoutMs: EXPORT_MS,
      late: () => `auditors on Kafka differ in ${differ.length} traces\n${differ.slice(0, 10).join('\n')}`,
    },
    watch,
  )
  report.say(`Two auditors on Kafka have judged ${traces.length} traces, each as the file says.\n`)
  report.fact('judged_on_kafka', traces.length)
}

/** While the services run: they export in batches, after a moment. */
export async function untilExported({ spansFile, bundle, answered }: Exhibits, watch: Watch): Promise<void> {
  const late = (): string => `not all of ${answered} requests were exported in ${EXPORT_MS / 1000} s`
  await until(
    async () => {
      const { complete } = await auditSpans(spansFile, bundle, () => false)
      return complete >= answered ? true : undefined
    },
    { timeoutMs: EXPORT_MS, late },
    watch,
  )
}

function problems({ summary: { verdicts } }: Audited): number {
  return verdicts.broken + verdicts.incomplete
}

function counts({ summary, complete }: Audited): Readonly<Record<string, unknown>> {
  const { spans, traces, verdicts, entries, denials, findings } = summary
  return {
    spans,
    traces,
    complete,
    verdicts,
    entry_count: entries,
    denials,
    findings: Object.fromEntries(findings),
  }
}

function described(audited: Audited): string {
  const general = audited.summary.general.map(({ code, message }) => `${code}: ${message}`)
  return [JSON.stringify(counts(audited)), ...general.slice(0, 10)].join('\n')
}

/** As one would type it. */
function here(file: string): string {
  return relative('', file)
}
