import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Audit, readFiles, type TraceJson, traceJson } from '@kest/audit'
import { ATTRIBUTE, createKeySource, LABEL } from '@kest/core'
import { Admin, Producer } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, temporaryFolder } from '../../../tests/brokers/broker.js'
import { startKafka } from '../../../tests/brokers/kafka.js'
import { type OtlpSpan, otlpLine, spanOf } from '../../audit/dist/testing/make-span.js'
import { DEFECTS, type PlantedTrace, soundTrace, Workloads } from '../../audit/dist/testing/plant.js'
import { createTopics, Fleet, type FleetOptions, type VerdictRecord } from '../src/index.js'
import { decodeVerdict } from '../src/judge/verdict-record.js'
import { KafkaLog } from '../src/log/kafka-log.js'
import { recordsOf } from '../src/log/slices.js'
import { comparable } from '../tests/support/world.js'
import { type Auditor, startAuditor } from './support/auditor.js'

const PARTITIONS = 4
/** What an audit says of lists that were not given to it, and of policies. */
const OF_AUDITS: ReadonlySet<string> = new Set(['root', 'revision-repeated'])
const SETTLE_MS = 1_000
/** Also how long a number that misses may be on its way. */
const MAX_AGE_MS = 8_000

describe('a fleet on Kafka', () => {
  let broker: Broker
  let admin: Admin
  let producer: Producer<Buffer, Buffer, Buffer, Buffer>
  let folder: string
  let names = 0
  const workloads = new Workloads()
  const trust = createKeySource(new Map(Object.entries(workloads.keys())) as never)

  beforeAll(async () => {
    broker = await startKafka({ 'group.min.session.timeout.ms': 1_000 })
    const client = { clientId: 'test', bootstrapBrokers: [broker.url], retries: 100, retryDelay: 100 }
    admin = new Admin(client)
    producer = new Producer({ ...client, acks: -1 })
    for (const one of [admin, producer]) one.on('error', () => {})
    folder = await temporaryFolder('fleet')
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: workloads.keys() }))
  })

  afterAll(async () => {
    await producer?.close(true)
    await admin?.close()
    await broker?.stop()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  /** Topics of their own, as the Collector and the fleet name them. */
  async function topicsOf(): Promise<{ prefix: string; topic: string }> {
    const prefix = `fleet-${++names}`
    const topic = `${prefix}-spans`
    const configs = [{ name: 'max.message.bytes', value: '20000000' }]
    await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1, configs })
    await createTopics({ kafka: { brokers: [broker.url] }, prefix, partitions: PARTITIONS })
    return { prefix, topic }
  }

  /** As the Collector's exporter does: without a key, one export a record. */
  async function send(topic: string, spans: readonly OtlpSpan[]): Promise<void> {
    const messages = spans.map((span, n) => {
      return { topic, partition: n % PARTITIONS, value: Buffer.from(otlpLine('any', [span])) }
    })
    await producer.send({ messages })
  }

  async function start(
    { prefix, topic }: { prefix: string; topic: string },
    more: Partial<FleetOptions> = {},
  ): Promise<Fleet> {
    const fleet = await Fleet.start({
      kafka: { brokers: [broker.url] },
      judge: { trust },
      topic,
      prefix,
      group: prefix,
      settling: { settleMs: SETTLE_MS },
      ...more,
    })
    onTestFinished(() => fleet.close())
    return fleet
  }

  function auditor({ prefix, topic }: { prefix: string; topic: string }, keys = 'keys.json'): Auditor {
    const one = startAuditor([
      ...['--kafka', broker.url, '--trust', join(folder, keys), '--json'],
      ...['--topic', topic, '--prefix', prefix, '--group', prefix],
      ...['--settle', String(SETTLE_MS / 1_000), '--max-age', String(MAX_AGE_MS / 1_000)],
    ])
    onTestFinished(() => one.kill())
    return one
  }

  /** All verdicts that are written, in order of each trace. */
  async function verdictsOf({ prefix }: { prefix: string }, topic = 'verdict-log') {
    const log = new KafkaLog({ brokers: [broker.url] })
    const found: { key: string; verdict: VerdictRecord }[] = []
    try {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { start: first, end } = await log.bounds(`${prefix}-${topic}`, partition)
        for (let at = first; at < end; ) {
          const { records, next } = await log.read(`${prefix}-${topic}`, partition, at)
          for (const { key, value } of records)
            found.push({ key: key as string, verdict: decodeVerdict(value) as VerdictRecord })
          at = next
        }
      }
    } finally {
      await log.close()
    }
    return found
  }

  /** What is said of the page of all of it, which has a row for each finding. */
  async function pageOf({ prefix }: { prefix: string }): Promise<{
    summary: { traces: number; findings: Readonly<Record<string, number>> }
    findings: readonly { code: string; message: string }[]
  }> {
    const path = join(folder, `${prefix}.html`)
    const one = startAuditor(['--kafka', broker.url, '--prefix', prefix, '--html', path, '--json'])
    onTestFinished(() => one.kill())
    expect(await one.ended).toBe(1)
    const said = JSON.parse(one.lines.at(-1) as string)
    const page = await readFile(path, 'utf8')
    expect(page).toContain(`<title>Audit of ${said.summary.traces} traces</title>`)
    for (const code of Object.keys(said.summary.findings)) expect(page).toContain(`id="finding-${code}"`)
    return said
  }

  /** Findings over all traces that stand. */
  async function standing({ prefix }: { prefix: string }): Promise<string[]> {
    const log = new KafkaLog({ brokers: [broker.url] })
    const found = new Map<string, string>()
    try {
      for (let partition = 0; partition < PARTITIONS; partition++)
        for await (const { value } of recordsOf(log, `${prefix}-findings`, partition)) {
          const { key, code, message, withdrawn } = JSON.parse(String(value))
          if (withdrawn === true) found.delete(`${key} ${code} ${message}`)
          else found.set(`${key} ${code} ${message}`, nameOf({ code, message }))
        }
    } finally {
      await log.close()
    }
    return [...found.values()].sort()
  }

  /** Which of two entries with one id came first depends on the order. */
  function nameOf({ code, message }: { code: string; message: string }): string {
    return code === 'entry-id-repeated' ? code : `${code}: ${message}`
  }

  /** All that is in the topic of exports. */
  async function exported({ topic }: { topic: string }): Promise<string[]> {
    const log = new KafkaLog({ brokers: [broker.url] })
    const lines: string[] = []
    try {
      for (let partition = 0; partition < PARTITIONS; partition++)
        for await (const { value } of recordsOf(log, topic, partition)) lines.push(String(value))
    } finally {
      await log.close()
    }
    return lines
  }

  async function audit(
    lines: readonly string[],
  ): Promise<{ traces: Map<string | null, TraceJson>; general: string[] }> {
    const path = await mkdtemp(join(tmpdir(), 'kest-fleet-'))
    onTestFinished(() => rm(path, { recursive: true, force: true }))
    await writeFile(join(path, 'spans.jsonl'), lines.map((one) => `${one}\n`).join(''))
    await using one = new Audit({ trust })
    await one.read(readFiles([join(path, 'spans.jsonl')]))
    const traces = new Map<string | null, TraceJson>()
    for await (const report of one.traces()) traces.set(report.traceId, traceJson(report))
    const { general } = one.summary()
    return {
      traces,
      general: general
        .filter(({ code }) => !OF_AUDITS.has(code))
        .map(nameOf)
        .sort(),
    }
  }

  const spansOf = (traces: readonly PlantedTrace[]) =>
    traces.flatMap(({ spans }) => spans.map(({ span }) => span))

  it('K-FLEET comes to the verdicts of an audit of files, while auditors die and begin and the broker restarts', async () => {
    const topics = await topicsOf()
    const planted = Object.entries(DEFECTS).flatMap(([name, defect], n) => {
      // How far ahead a time is depends on when it is judged.
      return name === 'a time to come'
        ? []
        : [soundTrace(workloads), soundTrace(workloads), defect(workloads, n)]
    })
    const [early, late] = [spansOf(planted.slice(0, 60)), spansOf(planted.slice(60))]
    await send(topics.topic, early)
    const first = auditor(topics)
    await expect.poll(() => first.lines.length).toBeGreaterThan(10)
    await first.kill()
    const second = auditor(topics)
    await send(topics.topic, late.slice(0, 40))
    await expect.poll(() => second.said()).toContain('judging')
    await broker.kill()
    await broker.start()
    const third = auditor(topics)
    await send(topics.topic, late.slice(40))
    // What a producer has sent twice to a broker that restarts is there twice.
    const { traces: expected, general } = await audit(await exported(topics))
    const finished = (key: string, trace: VerdictRecord) =>
      JSON.stringify(comparable(trace)) === JSON.stringify(comparable(expected.get(key) as TraceJson))
    let last = new Map<string, VerdictRecord>()
    await expect
      .poll(
        async () => {
          last = new Map((await verdictsOf(topics)).map(({ key, verdict }) => [key, verdict]))
          return [...expected.keys()].filter((key) => {
            const verdict = last.get(key as string)
            return verdict !== undefined && finished(key as string, verdict)
          }).length
        },
        { interval: 1_000, timeout: 240_000 },
      )
      .toBe(expected.size)
    expect([...last.keys()].sort()).toEqual([...expected.keys()].sort())
    const compacted = new Map(
      (await verdictsOf(topics, 'verdicts')).map(({ key, verdict }) => [key, verdict]),
    )
    expect(compacted).toEqual(last)
    // What had not settled in time is said to be replaced; nothing was written twice.
    const log = await verdictsOf(topics)
    const firsts = log.filter(({ verdict }) => verdict.fleet.replaces === null)
    expect(firsts).toHaveLength(expected.size)
    await expect.poll(() => standing(topics), { interval: 1_000, timeout: 120_000 }).toEqual(general)
    const { summary, findings } = await pageOf(topics)
    const verdicts = [...expected.values()].map(({ verdict }) => verdict)
    expect(summary).toMatchObject({
      traces: expected.size,
      verdicts: { verified: verdicts.filter((one) => one === 'verified').length },
      entries: [...expected.values()]
        .flatMap(({ entries }) => entries)
        .filter(({ source }) => source !== 'foreign').length,
    })
    expect(findings.map(nameOf).sort()).toEqual(general)
    // Told to end while it begins, a process ends as any does.
    await expect.poll(() => third.said()).toContain('judging')
    // Something was found, and by whom depends on who has which partition.
    for (const one of [second, third]) expect([0, 1]).toContain(await one.stop())
  })

  it('K-FLEET judges again what comes late, and keeps the graver verdict where retention took its spans', async () => {
    const topics = await topicsOf()
    const first = workloads.gateway.make([])
    const second = workloads.orders.make([first])
    const traceId = first.entry.labels[LABEL.traceId] as string
    const spoiled = spanOf(second)
    const at = second.jws.lastIndexOf('.') + 1
    const other = second.jws[at] === 'A' ? 'B' : 'A'
    spoiled.attributes[ATTRIBUTE.signature] = `${second.jws.slice(0, at)}${other}${second.jws.slice(at + 1)}`
    const seen: VerdictRecord[] = []
    await start(topics, { onVerdict: (one) => void seen.push(one) })
    await send(topics.topic, [spoiled])
    await expect.poll(() => seen).toMatchObject([{ trace_id: traceId, verdict: 'broken' }])
    const { partition, offsets } = (seen[0] as VerdictRecord).fleet.positions
    const before = BigInt((offsets.at(-1) as readonly number[])[1] as number) + 1n
    const entries = `${topics.prefix}-entries`
    await admin.deleteRecords({ topics: [{ name: entries, partitions: [{ partition, offset: before }] }] })
    await send(topics.topic, [spanOf(first)])
    await expect.poll(() => seen.length).toBe(2)
    expect(seen[1]).toMatchObject({
      verdict: 'broken',
      fleet: { partial: true, replaces: { verdict: 'broken' } },
    })
    expect(seen[1]?.entries.map(({ hash }) => hash)).toContain(first.hash)
  })

  it('K-FLEET goes on behind records that cannot be read, and reads one of ten megabytes', async () => {
    const topics = await topicsOf()
    const trace = soundTrace(workloads)
    const found: string[] = []
    const seen: VerdictRecord[] = []
    await start(topics, {
      onVerdict: (one) => void seen.push(one),
      onFinding: ({ code, place }) => void found.push(`${code} ${place}`),
    })
    const [one, ...others] = spansOf([trace]) as [OtlpSpan, ...OtlpSpan[]]
    const large = { ...one, attributes: { ...one.attributes, 'not.of.kest': 'x'.repeat(10_000_000) } }
    const value = (bytes: string | Buffer) => ({
      topic: topics.topic,
      partition: 0,
      value: Buffer.from(bytes as string),
    })
    for (const bytes of ['{', otlpLine('any', [large]), Buffer.alloc(1_000_000, 0xff)])
      await producer.send({ messages: [value(bytes)] })
    await send(topics.topic, others)
    await expect
      .poll(() => seen)
      .toMatchObject([{ trace_id: trace.traceId, verdict: 'verified', findings: [] }])
    await expect
      .poll(() => found.sort())
      .toEqual([`unreadable ${topics.topic}/0:0`, `unreadable ${topics.topic}/0:2`])
  })

  it.each([
    { wrong: 'no broker is there', args: ['--kafka', '127.0.0.1:1'], says: /kafka: topic otlp_spans/ },
    {
      wrong: 'a topic is missing',
      args: ['--topic', 'not-there'],
      says: /not-there.*there is no such topic/,
    },
    {
      wrong: 'its format is unknown',
      args: ['--format', 'jaeger_proto'],
      says: /expected otlp_proto or otlp_json/,
    },
    {
      wrong: 'nobody makes its topics',
      args: ['--prefix', 'unmade'],
      says: /unmade-[a-z]+.*there is no such topic/,
    },
  ])('K-FLEET says so, and ends with 2, where $wrong', async ({ args, says }) => {
    const { topic, prefix } = await topicsOf()
    const all = {
      '--kafka': broker.url,
      '--topic': topic,
      '--prefix': prefix,
      '--trust': join(folder, 'keys.json'),
    }
    const given = { ...all, ...Object.fromEntries([args as [string, string]]) }
    if (args[0] === '--kafka') given['--topic'] = 'otlp_spans'
    const one = startAuditor(Object.entries(given).flat())
    expect(await one.ended).toBe(2)
    expect(one.said()).toMatch(says)
    expect(one.lines).toEqual([])
  })

  it('K-ANCHOR an auditor reads its trust file again while it runs', async () => {
    const topics = await topicsOf()
    const own = `${topics.prefix}.json`
    await writeFile(join(folder, own), '{"keys":{}}')
    const one = auditor(topics, own)
    const verdicts = () =>
      one.lines.flatMap((line) => (JSON.parse(line) as Partial<VerdictRecord>).verdict ?? [])
    await send(topics.topic, spansOf([soundTrace(workloads)]).flat())
    await expect.poll(verdicts).toEqual(['broken'])
    await writeFile(join(folder, own), JSON.stringify({ keys: workloads.keys() }))
    await expect.poll(one.said).toContain('read again, and counts from now on')
    await send(topics.topic, spansOf([soundTrace(workloads)]).flat())
    await expect.poll(verdicts).toEqual(['broken', 'verified'])
    expect(await one.stop()).toBe(1)
  })

  it('K-FLEET says so, and commits nothing, where the topic holds something else', async () => {
    const topics = await topicsOf()
    const messages = Array.from({ length: 20 }, (_, n) => {
      return { topic: topics.topic, partition: 0, value: Buffer.from(`record ${n} of another kind`) }
    })
    await producer.send({ messages })
    const one = auditor(topics)
    expect(await one.ended).toBe(2)
    expect(one.said()).toMatch(/none of the first 16 records of .* is an export of OTLP/)
    const groups = await admin.listConsumerGroupOffsets({
      groups: [
        { groupId: `${topics.prefix}-split`, topics: [{ name: topics.topic, partitionIndexes: [0] }] },
      ],
    })
    expect(groups[0]?.topics[0]?.partitions[0]?.committedOffset ?? -1n).toBe(-1n)
  })
})
