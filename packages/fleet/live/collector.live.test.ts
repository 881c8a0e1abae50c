import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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
import { createTopics, type VerdictRecord } from '../src/index.js'
import { comparable } from '../tests/support/world.js'
import { type Auditor, startAuditor } from './support/auditor.js'
import { CONFIGURATION, type Collector, startCollector } from './support/collector.js'

const PARTITIONS = 2
const ON_KUBERNETES = fileURLToPath(
  new URL('../../../deploy/kubernetes-kafka/collector-kafka.yaml', import.meta.url),
)
/** As docs/fleet.md has the topic made. */
const MAX_MESSAGE_BYTES = 8_388_608

describe('the kafka exporter of the Collector', () => {
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

  /** A Collector and an auditor of its topic. */
  async function observed(
    name: string,
    encoding: 'otlp_proto' | 'otlp_json',
  ): Promise<{ collector: Collector; auditor: Auditor }> {
    const topic = `${name}-spans`
    const configs = [{ name: 'max.message.bytes', value: `${MAX_MESSAGE_BYTES}` }]
    await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1, configs })
    await createTopics({ kafka: { brokers: [broker.url] }, prefix: name, partitions: PARTITIONS })
    const own = join(folder, name)
    await mkdir(own)
    const collector = await startCollector({ brokers: broker.url, topic, encoding, folder: own })
    onTestFinished(() => collector.kill())
    const auditor = startAuditor([
      ...['--kafka', broker.url, '--trust', join(folder, 'keys.json'), '--json'],
      ...['--topic', topic, '--prefix', name, '--group', name, '--format', encoding, '--settle', '1'],
    ])
    onTestFinished(() => auditor.kill())
    return { collector, auditor }
  }

  it('takes what deploy/kubernetes-kafka lays over its configuration, and nothing that is misspelt', async () => {
    const validate = async (file: string): Promise<unknown> => {
      const env = { ...process.env, KEST_KAFKA_USER: 'any', KEST_KAFKA_PASSWORD: 'any' }
      return await promisify(execFile)('otelcol', ['validate', '--config', CONFIGURATION, '--config', file], {
        env,
      })
    }
    await validate(ON_KUBERNETES)
    const misspelt = join(folder, 'misspelt.yaml')
    await writeFile(misspelt, (await readFile(ON_KUBERNETES, 'utf8')).replace('mechanism:', 'mechanisms:'))
    await expect(validate(misspelt)).rejects.toThrow(/invalid keys: mechanisms/)
  })

  /** By trace, the last that an auditor has said. */
  function verdictsOf({ lines }: Auditor): Map<string | null, TraceJson> {
    const records = lines.map((line) => JSON.parse(line) as VerdictRecord | { finding: unknown })
    return new Map(records.flatMap((one) => ('trace_id' in one ? [[one.trace_id, one]] : [])))
  }

  async function audit(file: string): Promise<Map<string | null, TraceJson>> {
    await using one = new Audit({ trust })
    await one.read(readFiles([file]))
    const traces = new Map<string | null, TraceJson>()
    for await (const report of one.traces()) traces.set(report.traceId, traceJson(report))
    return traces
  }

  const spansOf = (traces: readonly PlantedTrace[]) =>
    traces.map(({ spans }) => spans.map(({ span }) => span))

  const lined = (verdicts: ReadonlyMap<string | null, TraceJson>) =>
    [...verdicts].map(([key, trace]) => `${key} ${JSON.stringify(comparable(trace))}`).sort()

  it('K-FLEET brings an audit of Kafka to the verdicts of its file, in both encodings, though broker and Collector are killed, and again later', async () => {
    const planted = Object.entries(DEFECTS).flatMap(([name, defect], n) => {
      // How far ahead a time is depends on when it is judged.
      return name === 'a time to come' ? [] : [soundTrace(workloads), defect(workloads, n)]
    })
    const traces = spansOf(planted)
    const both = [await observed('proto', 'otlp_proto'), await observed('json', 'otlp_json')]
    const send = async (some: readonly (readonly OtlpSpan[])[]): Promise<void> => {
      // A batch has spans of several traces, and a trace is in several batches.
      for (const { collector } of both)
        for (let n = 0; n < some.length; n += 5) {
          const batch = some.slice(n, n + 5)
          await collector.send(batch.flatMap((spans) => spans.slice(0, 1)))
          await collector.send(batch.flatMap((spans) => spans.slice(1)))
        }
    }
    await send(traces.slice(0, 50))
    for (const { auditor } of both) await expect.poll(() => auditor.lines.length).toBeGreaterThan(10)
    await broker.kill()
    await send(traces.slice(50))
    for (const { collector } of both) await collector.kill()
    for (const { collector } of both) await collector.start()
    await broker.start()
    for (const { collector, auditor } of both) {
      const expected = await audit(collector.spansFile)
      for (const { traceId } of planted) expect([...expected.keys()]).toContain(traceId)
      await expect
        .poll(() => lined(verdictsOf(auditor)), { interval: 500, timeout: 240_000 })
        .toEqual(lined(expected))
      expect([0, 1]).toContain(await auditor.stop())
    }
    // The same day once more, as docs/fleet.md says.
    const again = startAuditor([
      ...['--kafka', broker.url, '--trust', join(folder, 'keys.json'), '--json', '--settle', '1'],
      ...['--topic', 'proto-spans', '--prefix', 'again', '--group', 'again', '--create-topics', '2'],
    ])
    onTestFinished(() => again.kill())
    const [{ collector }] = both as [(typeof both)[number], unknown]
    const expected = lined(await audit(collector.spansFile))
    await expect.poll(() => lined(verdictsOf(again)), { interval: 500 }).toEqual(expected)
  })

  it('K-FLEET a span that fits no record is lost by the Collector, which counts it and says so, and no other', async () => {
    const { collector, auditor } = await observed('large', 'otlp_proto')
    const [large, tooLarge, sound] = [1, 2, 3].map(() => soundTrace(workloads)) as [
      PlantedTrace,
      PlantedTrace,
      PlantedTrace,
    ]
    const grown = ({ spans: [first] }: PlantedTrace, bytes: number): OtlpSpan => {
      const { span } = first as PlantedTrace['spans'][number]
      return { ...span, attributes: { ...span.attributes, 'not.of.kest': 'x'.repeat(bytes) } }
    }
    await collector.send([grown(large, MAX_MESSAGE_BYTES - 65_536)])
    // Answered as all others are.
    await collector.send([grown(tooLarge, MAX_MESSAGE_BYTES), ...spansOf([sound]).flat()])
    const known = () =>
      [...verdictsOf(auditor)].map(([key, { verdict, entries }]) => [key, verdict, entries.length])
    await expect
      .poll(() => known().sort())
      .toEqual(
        [
          [large.traceId, 'verified', 1],
          [sound.traceId, 'verified', 3],
        ].sort(),
      )
    await expect.poll(() => collector.metric('otelcol_exporter_send_failed_spans')).toBeGreaterThan(0)
    expect(collector.said()).toMatch(/record exceeds max message size/)
    expect((await audit(collector.spansFile)).has(tooLarge.traceId)).toBe(true)
  })

  it('is configured as docs/fleet.md says', async () => {
    const file = await readFile(new URL('../../../docker/collector/kafka.yaml', import.meta.url), 'utf8')
    const guide = await readFile(new URL('../../../docs/fleet.md', import.meta.url), 'utf8')
    expect(guide).toContain(`\`\`\`yaml\n${file.replace(/^#.*\n/gm, '')}\`\`\`\n`)
  })
})
