// Audits a folder in a process of its own, and says what that took: node audit-child.js FOLDER KEYS-FILE MEMORY
import { readFile } from 'node:fs/promises'
import { createKeySource } from '@kest/core'
import { Audit, type AuditSummary } from '../audit.js'
import { readFiles } from '../read/files.js'
import { PolicyReplay } from '../replay/policy-replay.js'
import { OLD_TEXT, TEXTS } from './decided.js'
import { LONGEST_LINE } from './write-export.js'

/** What it prints, as JSON. */
export interface AuditSaid {
  readonly spans: number
  readonly traces: number
  readonly denials: number
  readonly verdicts: AuditSummary['verdicts']
  readonly counts: readonly [code: string, count: number][]
  readonly findings: readonly [traceId: string | null, codes: readonly string[]][]
  readonly readMs: number
  readonly elapsedMs: number
  /** Of all threads. */
  readonly cpuMs: number
  readonly maxRssMiB: number
}

const principalOf = (name: string): string => `spiffe://kest.test/${name}`
const [folder = '', keys = '', memory = ''] = process.argv.slice(2)
const trust = createKeySource(JSON.parse(await readFile(keys, 'utf8')))
const start = performance.now()
const findings: [traceId: string | null, codes: string[]][] = []
await using audit = new Audit({
  trust,
  roots: ['gateway', 'payments'].map((name) => ({
    workload: principalOf(name),
    ceiling: 100,
    identity: true,
  })),
  identityAuthorities: [principalOf('orders')],
  replay: new PolicyReplay({ texts: TEXTS, inForce: { [OLD_TEXT]: { until: 1 } } }),
  memory: Number(memory),
})
await audit.read(readFiles([folder], { maxLineBytes: LONGEST_LINE }))
const read = performance.now()
for await (const report of audit.traces()) {
  if (report.findings.length > 0) findings.push([report.traceId, report.findings.map(({ code }) => code)])
}
const summary = audit.summary()
const said: AuditSaid = {
  spans: summary.spans,
  traces: summary.traces,
  denials: summary.denials,
  verdicts: summary.verdicts,
  counts: [...summary.findings],
  findings,
  readMs: Math.round(read - start),
  elapsedMs: Math.round(performance.now() - start),
  cpuMs: Math.round(Object.values(process.cpuUsage()).reduce((a, b) => a + b) / 1000),
  maxRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
}
process.stdout.write(`${JSON.stringify(said)}\n`)
