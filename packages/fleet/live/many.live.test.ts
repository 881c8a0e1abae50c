import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Audit, readFiles, type TraceJson, traceJson } from '@kest/audit'
import { createKeySource } from '@kest/core'
import { Admin } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, temporaryFolder } from '../../../tests/brokers/broker.js'
import { startKafka } from '../../../tests/brokers/kafka.js'
import type { OtlpSpan } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, type PlantedTrace, soundTrace, Workloads } from '../../audit/dist/testing/plant.js'
import { createTopics } from '../src/index.js'
import { decodeVerdict, type VerdictRecord } from '../src/judge/verdict-record.js'
import { KafkaLog } from '../src/log/kafka-log.js'
import { comparable } from '../tests/support/world.js'
import { type Auditor, startAuditor } from './support/auditor.js'
import { type Collector, startCollector } from './support/collector.js'
import { cpuMs, memoryMiB } from './support/usage.js'

// Of many minutes, and so not of every live suite: FLEET_TRACES=100000 FLEET_DEFECTS=20 npm run test:fleet. Its small forms are beside it.
const TRACES = Number(process.env['FLEET_TRACES'] ?? 0)
const OF_EACH = Number(process.env['FLEET_DEFECTS'] ?? 1)
const PARTITIONS = 8
const SETTLE_MS = 2_000
/** Traces that are exported at once. */
const BATCH = 100
/** How far ahead a time is depends on when it is judged. */
const KINDS = Object.entries(DEFECTS).filter(([name]) => name !== 'a time to come')
const KEST = fileURLToPath(new URL('../../cli/bin/kest.js', import.meta.url))

describe.runIf(TRACES > 0)('many traces', { timeout: 3_600_000 }, () => {
  let broker: Broker
  let admin: Admin
  let folder: string
  const workloads = new Workloads()
  const trust = createKeySource(new Map(Object.entries(workloads.keys())) as never)

  beforeAll(async () => {
    broker = await startKafka({ 'group.min.session.timeout.ms': 1_000 })
    admin = new Admin({ clientId: 'test', bootstrapBrokers: [broker.url], retries: 100, retryDelay: 100 })
    admin.on('error', () => {})
    folder = await temporaryFolder('fleet')
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: workloads.keys() }))
  })

  afterAll(async () => {
    await admin?.close()
    await broker?.stop()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  async function collectorOf(topic: string): Promise<Collector> {
    const configs = [{ name: 'max.message.bytes', value: '8388608' }]
    await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1, configs })
    const own = join(folder, topic)
    await mkdir(own)
    const one = await startCollector({ brokers: broker.url, topic, encoding: 'otlp_proto', folder: own })
    onTestFinished(() => one.kill())
    return one
  }

  async function fleetOf(topic: string, prefix: string): Promise<() => Promise<Auditor>> {
    await createTopics({ kafka: { brokers: [broker.url] }, prefix, partitions: PARTITIONS })
    return async () => {
      const one = startAuditor([
        ...['--kafka', broker.url, '--trust', join(folder, 'keys.json'), '--json', '--only-findings'],
        ...['--topic', topic, '--prefix', prefix, '--group', prefix, '--settle', `${SETTLE_MS / 1_000}`],
      ])
      onTestFinished(() => one.kill())
      // One that begins while no broker answers ends.
      await expect.poll(() => one.said()).toContain('judging')
      return one
    }
  }

  /** Sends them all; told how far it is. */
  async function sendAll(collector: Collector, at: (share: number) => Promise<void>) {
    const planted = new Map<string, PlantedTrace['expected']>()
    const total = TRACES + KINDS.length * OF_EACH
    const every = Math.max(1, Math.floor(TRACES / (KINDS.length * OF_EACH)))
    let waiting: OtlpSpan[][] = []
    let defects = 0
    for (let n = 0, sound = 0; n < total; n++) {
      const isDefect = defects < KINDS.length * OF_EACH && (sound >= TRACES || n % (every + 1) === every)
      let trace: PlantedTrace
      if (isDefect) {
        const [, plant] = KINDS[defects % KINDS.length] as (typeof KINDS)[number]
        trace = plant(workloads, defects++)
        planted.set(trace.traceId, trace.expected)
      } else {
        trace = soundTrace(workloads)
        sound++
      }
      waiting.push(trace.spans.map(({ span }) => span))
      if (waiting.length < BATCH && n + 1 < total) continue
      // Each hop exports by itself.
      await collector.send(waiting.flatMap((spans) => spans.slice(0, 1)))
      await collector.send(waiting.flatMap((spans) => spans.slice(1)))
      waiting = []
      await at((n + 1) / total)
    }
    return planted
  }

  const brief = (trace: TraceJson): string =>
    `${trace.verdict} ${createHash('sha256')
      .update(JSON.stringify(comparable(trace)))
      .digest('base64url')}`

  /** By trace, what an audit of the file says. */
  async function audited(file: string): Promise<Map<string, string>> {
    await using one = new Audit({ trust })
    await one.read(readFiles([file]))
    const traces = new Map<string, string>()
    for await (const report of one.traces())
      if (report.traceId !== null) traces.set(report.traceId, brief(traceJson(report)))
    return traces
  }

  /** Follows the log of verdicts: by trace, the last. */
  function follow(prefix: string) {
    const log = new KafkaLog({ brokers: [broker.url] })
    onTestFinished(() => log.close())
    const at = Array.from({ length: PARTITIONS }, () => 0)
    const last = new Map<string, string>()
    return async (see: (one: VerdictRecord) => void = () => {}) => {
      for (let partition = 0; partition < PARTITIONS; partition++)
        for (;;) {
          const slice = await log.read(`${prefix}-verdict-log`, partition, at[partition] as number)
          at[partition] = slice.next
          for (const { key, value } of slice.records) {
            const verdict = decodeVerdict(value) as VerdictRecord
            see(verdict)
            if (verdict.trace_id !== null) last.set(key as string, brief(verdict))
          }
          if (slice.records.length === 0) break
        }
      return last
    }
  }

  function differing(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
    return [...new Set([...expected.keys(), ...found.keys()])].filter(
      (key) => expected.get(key) !== found.get(key),
    )
  }

  it('K-FLEET finds what was planted among many, while one auditor dies, one begins late and the broker restarts', async () => {
    const collector = await collectorOf('many')
    const start = await fleetOf('many', 'many')
    const [first, second] = await Promise.all([start(), start()])
    const done = new Set<string>()
    const memory: number[] = []
    const once = async (what: string, run: () => Promise<unknown>): Promise<void> => {
      if (done.has(what)) return
      done.add(what)
      await run()
    }
    const planted = await sendAll(collector, async (share) => {
      if (share * 20 > memory.length) memory.push(memoryMiB(second.pid))
      if (share >= 0.4) await once('it dies', () => first.kill())
      if (share >= 0.6) await once('it begins', start)
      if (share >= 0.8)
        await once('it restarts', async () => {
          await broker.kill()
          await broker.start()
        })
    })
    console.log(`${planted.size} planted in ${TRACES}; MiB of an auditor, at each 20th: ${memory.join(' ')}`)
    const expected = await audited(collector.spansFile)
    memory.push(memoryMiB(second.pid))
    const read = follow('many')
    await expect
      .poll(
        // A broker that has just restarted may not answer yet.
        () =>
          read().then(
            (found) => differing(expected, found).length,
            () => Number.NaN,
          ),
        { interval: 1_000, timeout: 1_800_000 },
      )
      .toBe(0)
    // Exactly what was planted: no other trace is anything but verified.
    const others = [...planted.values()].flatMap((found) => [...found.keys()])
    const found = await read()
    const suspected = [...found].filter(([key, text]) => !planted.has(key) && !text.startsWith('verified '))
    expect(suspected.map(([key]) => key).filter((key) => !others.includes(key))).toEqual([])
    for (const [key, codes] of planted) if (codes.size > 0) expect(found.has(key)).toBe(true)
    console.log(`all is judged: ${memoryMiB(second.pid)} MiB, ${cpuMs(second.pid)} ms of CPU`)
    expect(second.said()).not.toContain('not allowed')
  })

  it('costs as much as figures say', async () => {
    const collector = await collectorOf('figures')
    await sendAll(collector, async () => {})
    const { stderr } = await promisify(execFile)('bash', [
      '-c',
      'set -o pipefail; "$@" >/dev/null; [ $? -le 1 ] && times >&2',
      ...['bash', process.execPath, KEST, 'audit', '--trust', join(folder, 'keys.json')],
      ...['--json', '--only-findings', collector.spansFile],
    ])
    console.log(`kest audit on the file (user and system, of children on the second line):\n${stderr}`)
    for (const auditors of [1, 2]) {
      const prefix = `figures-${auditors}`
      const start = await fleetOf('figures', prefix)
      const all = await Promise.all(Array.from({ length: auditors }, start))
      const began = Date.now()
      await expect.poll(() => lagOf('figures', prefix), { interval: 1_000, timeout: 1_800_000 }).toBe(0)
      const cpu = all.map(({ pid }) => cpuMs(pid))
      const memory = all.map(({ pid }) => memoryMiB(pid))
      console.log(`${auditors} of them: ms of CPU ${cpu}, ${Date.now() - began} ms, MiB ${memory}`)
      for (const one of all) await one.kill()
    }
    console.log(`time to verdict, beyond settling: ${await lateness(collector, 'figures-late')}`)
  })

  /** Records that no group has done for good. */
  async function lagOf(topic: string, prefix: string): Promise<number> {
    const log = new KafkaLog({ brokers: [broker.url] })
    let lag = 0
    try {
      for (const [stage, name] of [
        ['split', topic],
        ['judge', `${prefix}-entries`],
      ] as const) {
        const partitionIndexes = Array.from({ length: PARTITIONS }, (_, n) => n)
        const groups = [{ groupId: `${prefix}-${stage}`, topics: [{ name, partitionIndexes }] }]
        const [found] = await admin.listConsumerGroupOffsets({ groups })
        for (const { partitionIndex, committedOffset } of found?.topics[0]?.partitions ?? [])
          lag += (await log.bounds(name, partitionIndex)).end - Math.max(0, Number(committedOffset))
        if (found?.topics[0] === undefined) lag += 1
      }
      return lag
    } finally {
      await log.close()
    }
  }

  /** Milliseconds from when a trace had settled to when it was judged, at 30 exports a second: the median, p99 and the most. */
  async function lateness(collector: Collector, prefix: string): Promise<string> {
    const start = await fleetOf('figures', prefix)
    const one = await start()
    await expect.poll(() => lagOf('figures', prefix), { interval: 1_000, timeout: 1_800_000 }).toBe(0)
    const read = follow(prefix)
    await read()
    const sent = new Set<string | null>()
    for (let n = 0; n < 600; n++) {
      const traces = [0, 1, 2].map(() => soundTrace(workloads))
      for (const { traceId } of traces) sent.add(traceId)
      await collector.send(traces.flatMap(({ spans }) => spans.map(({ span }) => span)))
      await delay(33)
    }
    await delay(SETTLE_MS)
    await expect.poll(() => lagOf('figures', prefix), { interval: 1_000, timeout: 600_000 }).toBe(0)
    const written = await entryTimes(prefix)
    const late: number[] = []
    await read(({ trace_id, fleet: { judged_at, positions } }) => {
      // What was there before may be judged late.
      if (!sent.has(trace_id)) return
      const last = positions.offsets.at(-1)?.[1]
      late.push(judged_at - SETTLE_MS - (written.get(`${positions.partition}:${last}`) ?? Number.NaN))
    })
    await one.kill()
    late.sort((a, b) => a - b)
    return [0.5, 0.99, 1].map((q) => late[Math.ceil(q * late.length) - 1]).join(', ')
  }

  async function entryTimes(prefix: string): Promise<Map<string, number>> {
    const log = new KafkaLog({ brokers: [broker.url] })
    const times = new Map<string, number>()
    try {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { end } = await log.bounds(`${prefix}-entries`, partition)
        for (let at = 0; at < end; ) {
          const { records, next } = await log.read(`${prefix}-entries`, partition, at)
          for (const { offset, timestampMs } of records) times.set(`${partition}:${offset}`, timestampMs)
          at = next
        }
      }
      return times
    } finally {
      await log.close()
    }
  }
})
