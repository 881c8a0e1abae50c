import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Audit,
  type AuditFinding,
  type RosterWorkload,
  readFiles,
  type SettlingOptions,
  type TraceJson,
  TraceJudge,
  type TraceJudgeOptions,
  traceJson,
} from '@kest/audit'
import { createKeySource, type KeySource } from '@kest/core'
import { onTestFinished } from 'vitest'
import { type OtlpSpan, otlpLine } from '../../../audit/dist/testing/make-span.js'
import { Workloads } from '../../../audit/dist/testing/plant.js'
import { EntryIndex, type EntryIndexOptions } from '../../src/judge/entry-index.js'
import { JudgeWorker } from '../../src/judge/judge-worker.js'
import { JudgedPartition } from '../../src/judge/judged-partition.js'
import { decodeVerdict, type VerdictRecord } from '../../src/judge/verdict-record.js'
import type { LogSlice } from '../../src/log/log.js'
import { RosterWorker } from '../../src/roster/roster-worker.js'
import { SequenceWorker } from '../../src/sequences/sequence-worker.js'
import { SplitWorker } from '../../src/split/split-worker.js'
import type { FleetFinding } from '../../src/stage/finding-record.js'
import { MemoryLog } from '../../src/testing/memory-log.js'
import { topicsOf } from '../../src/topics.js'

export const PARTITIONS = 4
export const TOPICS = topicsOf('otlp_spans', 'kest')
/** How long a number that misses may be on its way. */
export const WAIT_MS = 11_000
const SETTLING = { settleMs: 1_000, maxAgeMs: 10_000, maxOpen: 1_000, maxBytes: 1e9 }

export interface WorldOptions {
  /** In place of the keys of all workloads. */
  readonly trust?: (keys: KeySource) => TraceJudgeOptions['trust']
  readonly settling?: SettlingOptions
  readonly maxTraceSpans?: number
  readonly maxWaiting?: number
  readonly shared?: readonly (readonly string[])[]
  readonly bounds?: { readonly ofOne: number; readonly ofAll: number }
  readonly index?: Pick<EntryIndexOptions, 'maxTables' | 'credit'>
}

/** A fleet at work on a log in memory, whose time passes when a test says so. */
export class World {
  readonly workloads = new Workloads()
  readonly log = new MemoryLog({
    [TOPICS.spans]: 2,
    [TOPICS.entries]: PARTITIONS,
    [TOPICS.verdicts]: PARTITIONS,
    [TOPICS.log]: PARTITIONS,
    [TOPICS.facts]: PARTITIONS,
    [TOPICS.state]: PARTITIONS,
    [TOPICS.findings]: 1,
  })
  readonly found: AuditFinding[] = []
  /** What is found over all traces. */
  readonly general: FleetFinding[] = []
  readonly #options: WorldOptions
  readonly #split = new Map<number, { worker: SplitWorker; at: number }>()
  readonly #judges = new Map<number, { worker: JudgeWorker; at: number }>()
  readonly #sequences = new Map<number, { worker: SequenceWorker; at: number }>()
  readonly #entries: EntryIndex
  readonly judging: TraceJudgeOptions

  constructor(options: WorldOptions = {}) {
    this.#options = options
    const keys = Object.entries(this.workloads.keys()) as [string, object[]][]
    const { shared = [], index = {}, trust = (all) => all } = options
    this.#entries = new EntryIndex({ log: this.log, topic: TOPICS.entries, ...index })
    const all = createKeySource(new Map(keys) as never)
    this.judging = { trust: trust(all), now: Date.now(), shared }
  }

  /** Exports spans, as a Collector does: some at once, without a key. */
  async send(spans: readonly OtlpSpan[], partition = 0): Promise<void> {
    await this.sendBytes(otlpLine('any', spans), partition)
  }

  async sendBytes(bytes: string | Buffer, partition = 0): Promise<void> {
    await this.log.append([{ topic: TOPICS.spans, partition, key: '', value: Buffer.from(bytes as string) }])
  }

  /** Reads all that is there, at each stage. */
  async work(): Promise<void> {
    for (let partition = 0; partition < 2; partition++) {
      const one = this.#split.get(partition) ?? { worker: this.splitter(partition), at: 0 }
      this.#split.set(partition, one)
      await this.#pass(TOPICS.spans, partition, one)
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const one = this.#judges.get(partition) ?? { worker: await this.judge(partition), at: 0 }
      this.#judges.set(partition, one)
      await this.#pass(TOPICS.entries, partition, one)
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const one = this.#sequences.get(partition) ?? { worker: await this.sequences(partition), at: 0 }
      this.#sequences.set(partition, one)
      await this.#pass(TOPICS.facts, partition, one)
    }
  }

  roster(partition: number, roster: readonly RosterWorkload[], from = 0): Promise<RosterWorker> {
    const { log } = this
    const found = (one: FleetFinding): void => void this.general.push(one)
    const clock = (): number => log.now
    return RosterWorker.open({ log, topics: TOPICS, roster, waitMs: WAIT_MS, found, clock }, partition, from)
  }

  async pass(ms: number): Promise<void> {
    this.log.now += ms
    await this.work()
  }

  splitter(partition: number, known = false): SplitWorker {
    const seen = ({ findings }: { findings: readonly AuditFinding[] }) => void this.found.push(...findings)
    const { log } = this
    const options = { log, topics: TOPICS, encoding: null, seen, clock: () => log.now }
    return new SplitWorker(options, partition, 0, known)
  }

  /** @param known what whoever judged it before in the same process knew, and did not lose with what failed */
  judge(partition: number, from = 0, known = this.knowing(), signal?: AbortSignal): Promise<JudgeWorker> {
    const { log } = this
    const { settling = {}, maxTraceSpans = 1_000 } = this.#options
    return JudgeWorker.open(
      {
        log,
        topics: TOPICS,
        judge: new TraceJudge(this.judging),
        entries: this.#entries,
        settling: { ...SETTLING, ...settling },
        maxTraceSpans,
        lookBackMs: 3_600_000,
        judged: () => {},
        found: (one) => void this.found.push(one),
        clock: () => log.now,
        elapsed: () => log.now,
      },
      partition,
      from,
      known,
      signal,
    )
  }

  /** Nothing, to begin with. */
  knowing(): JudgedPartition {
    return new JudgedPartition(this.#options.maxWaiting ?? 1_000)
  }

  sequences(partition: number, from = 0): Promise<SequenceWorker> {
    const { log } = this
    const { bounds } = this.#options
    return SequenceWorker.open(
      {
        log,
        topics: TOPICS,
        rules: new TraceJudge(this.judging).sequenceRules,
        waitMs: WAIT_MS,
        lookBackMs: 3_600_000,
        found: (one) => void this.general.push(one),
        clock: () => log.now,
        // As of `performance.now()`, nothing is whole.
        elapsed: () => log.now * 1.000_001,
        ...(bounds === undefined ? {} : { bounds }),
      },
      partition,
      from,
    )
  }

  /** All who judge over traces are gone, and others go on from where was committed, or before. */
  async restartSequences(from?: number): Promise<SequenceWorker[]> {
    const old = [...this.#sequences.values()].map(({ worker }) => worker)
    for (const [partition, { worker }] of this.#sequences) {
      const at = from ?? worker.position
      this.#sequences.set(partition, { worker: await this.sequences(partition, at), at })
    }
    return old
  }

  /** Findings of the topic, but of partitions: those that stand. */
  standing(): string[] {
    const standing = new Map<string, string>()
    for (const { value } of this.log.all(TOPICS.findings, 0)) {
      const { key, code, message, withdrawn } = JSON.parse((value as Buffer).toString('utf8'))
      const name = `${key} ${code} ${message}`
      if (withdrawn === true) standing.delete(name)
      else standing.set(name, `${code}: ${message}`)
    }
    return [...standing.values()].sort()
  }

  /** Another begins where `from` says, and whoever judged before is gone, or thinks that he is not. */
  async takeOver(partition: number, from: number): Promise<JudgeWorker | undefined> {
    const old = this.#judges.get(partition)?.worker
    this.#judges.set(partition, { worker: await this.judge(partition, from), at: from })
    return old
  }

  judgeAt(partition: number): JudgeWorker {
    return this.#judges.get(partition)?.worker as JudgeWorker
  }

  /** As it is compacted: of each key the last. */
  verdicts(topic = TOPICS.log): Map<string, VerdictRecord> {
    return new Map(this.written(topic).map(({ key, verdict }) => [key, verdict]))
  }

  /** All of them, in order. */
  written(topic = TOPICS.log): { key: string; verdict: VerdictRecord; partition: number }[] {
    return Array.from({ length: PARTITIONS }, (_, partition) =>
      this.log.all(topic, partition).map(({ key, value }) => {
        return { key: key as string, verdict: decodeVerdict(value) as VerdictRecord, partition }
      }),
    ).flat()
  }

  /** What `kest audit` says of the same spans in a file, by trace. */
  async audit(spans: readonly OtlpSpan[]): Promise<Map<string | null, TraceJson>> {
    return (await this.auditAll(spans)).traces
  }

  /** The same, and what it says over all traces. */
  async auditAll(
    spans: readonly OtlpSpan[],
  ): Promise<{ traces: Map<string | null, TraceJson>; general: readonly AuditFinding[] }> {
    const folder = await mkdtemp(join(tmpdir(), 'kest-fleet-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await writeFile(join(folder, 'spans.jsonl'), spans.map((one) => `${otlpLine('any', [one])}\n`).join(''))
    await using audit = new Audit(this.judging)
    await audit.read(readFiles([join(folder, 'spans.jsonl')]))
    const traces = new Map<string | null, TraceJson>()
    for await (const report of audit.traces()) traces.set(report.traceId, traceJson(report))
    return { traces, general: audit.summary().general }
  }

  async #pass(topic: string, partition: number, one: { worker: Worker; at: number }): Promise<void> {
    for (;;) {
      const slice = await this.log.read(topic, partition, one.at)
      await one.worker.take(slice)
      one.at = slice.next
      if (slice.records.length === 0) return
    }
  }
}

interface Worker {
  take(slice: LogSlice): Promise<void>
}

/** What two verdicts have in common wherever their spans were read, and in whatever order. */
export function comparable({ entries, denials, receipts = [], findings, ...rest }: TraceJson): object {
  const { fleet: _fleet, ...trace } = rest as TraceJson & { fleet?: unknown }
  const found = findings.map(({ place: _place, ...one }) => JSON.stringify(one)).sort()
  const denied = denials.map(({ place: _place, ...one }) => JSON.stringify(one)).sort()
  const held = receipts.map(({ place: _place, ...one }) => JSON.stringify(one)).sort()
  return { ...trace, entries, findings: found, denials: denied, receipts: held }
}
