import { spawnSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createTopics, KafkaLog, writeExport } from '../internals.js'
import { environment } from '../report.js'
import { measureAudit } from './measured-kest.js'
import { startKafka } from './start-kafka.js'

const USAGE = `npm run bench:fleet -- [--traces N] [--auditors N]

  --traces N     three-hop traces that are judged; default 20,000
  --auditors N   processes that judge together; default 1`

/** Of the rate of an audit of the same spans in files, what an auditor on Kafka reaches at least, by the CPU that both take. */
const TARGET = 0.85
const PARTITIONS = 8
/** A topic that is made as those of the fleet are: it stands for the Collector's. */
const EXPORTED = 'exported'
const SPANS = `${EXPORTED}-entries`
const SETTLE_SECONDS = 2
/** Nothing more is judged when nothing was for so long. */
const QUIET_MS = 8_000
const PAUSE_MS = 1_000

interface Sizes {
  readonly traces: number
  readonly auditors: number
}

/** What it costs to judge spans from a log, beside judging them from files. */
async function measure(sizes: Sizes): Promise<void> {
  const { traces, auditors } = sizes
  const { node, cpu, parallelism, load } = environment()
  console.log(`Node ${node}, ${parallelism} × ${cpu}, load ${load.toFixed(1)}`)
  const folder = await mkdtemp(join(tmpdir(), 'kest-bench-fleet-'))
  const kafka = await startKafka(folder)
  try {
    const exported = join(folder, 'spans')
    const written = await writeExport(exported, traces, 1)
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: written.keys }))
    const common = ['--trust', join(folder, 'keys.json'), '--json', '--only-findings']
    const files = await onFiles(exported, common)
    const fleet = await onKafka(kafka.address, exported, common, sizes)
    const perSpan = (cpuMs: number): string => `${((cpuMs * 1000) / written.spans).toFixed(0)} µs`
    console.log(`spans      ${written.spans} of ${traces} traces`)
    console.log(`files      ${perSpan(files)} of CPU for each`)
    console.log(
      `kafka      ${perSpan(fleet)}, by ${auditors} in all; ${(files / fleet).toFixed(2)} of its rate (≥ ${TARGET})`,
    )
  } finally {
    await kafka.end()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Milliseconds, without what it takes to start. */
async function onFiles(exported: string, common: readonly string[]): Promise<number> {
  const one = `${exported}-one.jsonl`
  for await (const line of linesOf(join(exported, 'gateway.jsonl'))) {
    await writeFile(one, line)
    break
  }
  const start = await measureAudit([...common, one])
  const whole = await measureAudit([...common, exported])
  return whole.cpuMs - start.cpuMs
}

/** Milliseconds of all auditors, without what it takes them to start. */
async function onKafka(
  address: string,
  exported: string,
  common: readonly string[],
  { traces, auditors }: Sizes,
): Promise<number> {
  const kafka = { brokers: [address] }
  const log = new KafkaLog(kafka)
  try {
    for (const prefix of [EXPORTED, 'empty', 'full'])
      await createTopics({ kafka, prefix, partitions: PARTITIONS })
    const run = async (prefix: string, traces: number): Promise<number> => {
      const args = [...common, '--kafka', address, '--topic', SPANS, '--settle', String(SETTLE_SECONDS)]
      const own = [...args, '--prefix', prefix, '--group', prefix]
      const all = Array.from({ length: auditors }, () =>
        measureAudit(own, () => quiet(log, `${prefix}-verdict-log`, traces)),
      )
      return (await Promise.all(all)).reduce((sum, { cpuMs }) => sum + cpuMs, 0)
    }
    // The same wait, with nothing to judge.
    const start = await run('empty', 0)
    await writeTo(log, exported)
    return (await run('full', traces)) - start
  } finally {
    await log.close()
  }
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file) })
}

/** All lines that hold spans, a record each; those of a trace near each other, as they come from a Collector. */
async function writeTo(log: KafkaLog, exported: string): Promise<void> {
  const names = (await readdir(exported)).filter((one) => /^[a-z]+\.jsonl$/.test(one))
  let files = names.map((name) => linesOf(join(exported, name))[Symbol.asyncIterator]())
  for (let partition = 0; files.length > 0; partition = (partition + 1) % PARTITIONS) {
    const lines = await Promise.all(files.map((one) => one.next()))
    files = files.filter((_, n) => lines[n]?.done !== true)
    const records = lines.flatMap(({ done, value }) =>
      done === true ? [] : [{ topic: SPANS, partition, key: SPANS, value: Buffer.from(value as string) }],
    )
    await log.append(records)
  }
}

/** Until so many records are in a topic, and nothing more is written to it. */
async function quiet(log: KafkaLog, topic: string, least: number): Promise<void> {
  let last = -1
  for (let since = performance.now(); performance.now() - since < QUIET_MS; await wait(PAUSE_MS)) {
    let ends = 0
    for (let partition = 0; partition < PARTITIONS; partition++)
      ends += (await log.bounds(topic, partition)).end
    if (ends !== last || ends < least) since = performance.now()
    last = ends
  }
}

function sizesOf(args: readonly string[]): Sizes | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { traces: { type: 'string', default: '20000' }, auditors: { type: 'string', default: '1' } },
    })
    const sizes = { traces: Number(values.traces), auditors: Number(values.auditors) }
    if (Object.values(sizes).every((count) => Number.isSafeInteger(count) && count > 0)) return sizes
    console.error(`expected positive numbers\n\n${USAGE}`)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
  }
  return undefined
}

const sizes = sizesOf(process.argv.slice(2))
if (sizes === undefined) process.exitCode = 2
else if (spawnSync('kafka-storage.sh', ['--version'], { stdio: 'ignore' }).error !== undefined) {
  console.error('kafka-storage.sh and kafka-server-start.sh of Kafka 4 are not on PATH')
  process.exitCode = 2
} else await measure(sizes)
