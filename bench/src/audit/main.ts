import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type AuditSaid, LONGEST_LINE, type WrittenExport, writeExport } from '../internals.js'
import { environment } from '../report.js'
import { runChild } from './run-child.js'

const USAGE = `npm run bench:audit -- [--traces N] [--spans N] [--each N] [--raw-seconds N]

  --traces N        three-hop traces that are written and audited; default 100,000 (about 1.3 GB in the temporary folder)
  --spans N         spans that pass through the readers; default 1,000,000
  --each N          traces planted of each defect; default 20
  --raw-seconds N   how long the rate of verification alone is measured, before and after; default 5`

/** How much faster the signatures alone are verified: of their rate, what an audit reaches at least. */
const TARGET_RATE = 0.5
const TARGET_MIB = 400
/** Bytes of spans that the audit holds in memory: its default. */
const MEMORY = 67_108_864

const RAW = new URL('raw-child.js', import.meta.url)
const READ = new URL('read-child.js', import.meta.url)
const AUDIT = new URL('../../../packages/audit/dist/testing/audit-child.js', import.meta.url)

interface Sizes {
  readonly traces: number
  readonly spans: number
  readonly each: number
  readonly rawSeconds: number
}

/** An audit as large as an auditor's: is all of it found, how fast, and in how much memory. */
async function measure({ traces, spans, each, rawSeconds }: Sizes): Promise<void> {
  const { node, cpu, parallelism, load } = environment()
  console.log(`Node ${node}, ${parallelism} × ${cpu}, load ${load.toFixed(1)}`)
  const folder = await mkdtemp(join(tmpdir(), 'kest-bench-audit-'))
  try {
    const keys = join(folder, 'keys.json')
    const exported = join(folder, 'spans')
    const written = await writeExport(exported, traces, each)
    await writeFile(keys, JSON.stringify(written.keys))
    console.log(`written    ${written.spans} spans of ${traces} traces, ${each} of each defect`)

    const before = await runChild<{ perSecond: number }>(RAW, [String(rawSeconds)])
    const said = await runChild<AuditSaid>(AUDIT, [exported, keys, String(MEMORY)])
    const after = await runChild<{ perSecond: number }>(RAW, [String(rawSeconds)])
    const raw = (before.perSecond + after.perSecond) / 2
    const rate = (said.spans * 1000) / said.elapsedMs
    console.log(`found      ${differences(said, written)}`)
    console.log(
      `rate       ${(rate / raw).toFixed(2)} of raw verification on all cores (≥ ${TARGET_RATE}): ` +
        `${rate.toFixed(0)} of ${raw.toFixed(0)} signatures a second; ${said.readMs} ms of ${said.elapsedMs} to read`,
    )
    console.log(`memory     ${said.maxRssMiB} MiB at most (< ${TARGET_MIB})`)

    const read = await runChild<{ spans: number; seconds: number; residentMiB: number[] }>(READ, [
      exported,
      String(spans),
      String(LONGEST_LINE),
    ])
    console.log(
      `readers    ${read.spans} spans in ${read.seconds.toFixed(0)} s; resident MiB at each twentieth: ${read.residentMiB.join(' ')}`,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What was found and not planted, or planted and not found. */
function differences(said: AuditSaid, { counts, traces, spans }: WrittenExport): string {
  const wrong: string[] = []
  if (said.spans !== spans) wrong.push(`${said.spans} spans`)
  const found: ReadonlyMap<string, number> = new Map(said.counts)
  const wanted: ReadonlyMap<string, number> = counts
  for (const code of new Set([...found.keys(), ...wanted.keys()])) {
    if (found.get(code) !== wanted.get(code))
      wrong.push(`${code}: ${found.get(code) ?? 0} of ${wanted.get(code) ?? 0}`)
  }
  const of = (codes: readonly string[] | undefined): string => [...(codes ?? [])].sort().join()
  const findings = new Map(said.findings)
  for (const id of new Set([...findings.keys(), ...traces.keys()])) {
    const [got, planted] = [of(findings.get(id)), of(traces.get(id as string))]
    if (got !== planted) wrong.push(`trace ${id}: ${got || 'nothing'} instead of ${planted || 'nothing'}`)
  }
  if (wrong.length > 0) process.exitCode = 1
  return wrong.length === 0 ? 'exactly what was planted' : `NOT what was planted: ${wrong.join('; ')}`
}

function sizesOf(args: readonly string[]): Sizes | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        traces: { type: 'string', default: '100000' },
        spans: { type: 'string', default: '1000000' },
        each: { type: 'string', default: '20' },
        'raw-seconds': { type: 'string', default: '5' },
      },
    })
    const counts = { traces: Number(values.traces), spans: Number(values.spans), each: Number(values.each) }
    const rawSeconds = Number(values['raw-seconds'])
    const right = Object.values(counts).every((count) => Number.isSafeInteger(count) && count > 0)
    if (right && rawSeconds > 0) return { ...counts, rawSeconds }
    console.error(`expected positive numbers\n\n${USAGE}`)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
  }
  return undefined
}

const sizes = sizesOf(process.argv.slice(2))
if (sizes === undefined) process.exitCode = 2
else await measure(sizes)
