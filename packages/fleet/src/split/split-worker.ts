import {
  type AuditFinding,
  finding,
  lineageKey,
  type OtlpEncoding,
  readOtlp,
  type SpanBatch,
} from '@kest/audit'
import { KestConfigError } from '@kest/core'
import { type Log, type LogRecord, type LogSlice, type NewRecord, TooLarge } from '../log/log.js'
import { MAX_BYTES, MAX_RECORDS, piecesOf } from '../log/pieces.js'
import { findingRecord, fleetFinding } from '../stage/finding-record.js'
import type { Worker } from '../stage/stage.js'
import type { FleetTopics } from '../topics.js'
import { encodeSpan, SOURCE_HEADER, UNTRACED_KEY } from './span-record.js'

/** Records that nothing could be read of, one after the other and before any other, after which it is not of spans. */
const MAX_UNREAD = 16
const OPENING_BRACE = 0x7b

export interface SplitOptions {
  readonly log: Log
  readonly topics: FleetTopics
  /** `null`: each record as it begins. */
  readonly encoding: OtlpEncoding | null
  /** Told of spans and of what could not be read, when they are written. */
  readonly seen: (one: SplitRecord) => void
  readonly clock: () => number
}

/** What was in a record, once it is written on. */
export interface SplitRecord {
  /** How many. */
  readonly spans: number
  readonly others: number
  readonly findings: readonly AuditFinding[]
}

/** Spans of exports, each to the partition of its lineage: so that all of one come to one judge. */
export class SplitWorker implements Worker {
  readonly #options: SplitOptions
  readonly #partition: number
  /** Whether anything could be read, here or before. */
  #known: boolean
  #unread = 0
  #position: number
  #known_position: number

  constructor(options: SplitOptions, partition: number, from: number, known: boolean) {
    this.#options = options
    this.#partition = partition
    this.#known = known
    this.#position = from
    this.#known_position = from
  }

  get position(): number {
    return this.#known ? this.#position : this.#known_position
  }

  async take({ records, next }: LogSlice): Promise<void> {
    let pending: Pending = { records: [], seen: [], bytes: 0 }
    for (const record of records) {
      this.#split(record, pending)
      if (pending.bytes < MAX_BYTES && pending.records.length < MAX_RECORDS) continue
      await this.#write(pending)
      pending = { records: [], seen: [], bytes: 0 }
    }
    await this.#write(pending)
    this.#position = next
  }

  async close(): Promise<void> {}

  #split(record: LogRecord, pending: Pending): void {
    const { topics, clock } = this.#options
    const batch = this.#read(record)
    this.#assertOfSpans(batch)
    const written = batch.findings.map((one) =>
      findingRecord(topics.findings, fleetFinding(one, this.#place), clock()),
    )
    for (const [n, span] of batch.spans.entries()) {
      const source = `${this.#partition}:${record.offset}:${n}`
      const key = lineageKey(span) || UNTRACED_KEY
      const headers = { [SOURCE_HEADER]: source }
      written.push({ topic: topics.entries, key, value: encodeSpan(span), headers })
    }
    pending.records.push(...written)
    pending.bytes += written.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    // Not the spans themselves: they are garbage before others are read.
    pending.seen.push({ spans: batch.spans.length, others: batch.others, findings: batch.findings })
  }

  get #place(): string {
    return `${this.#options.topics.spans}/${this.#partition}`
  }

  #read({ value, offset }: LogRecord): SpanBatch {
    const { encoding } = this.#options
    const place = { file: this.#place, line: offset }
    const bytes = value ?? Buffer.alloc(0)
    const as = encoding ?? (bytes[0] === OPENING_BRACE ? 'json' : 'protobuf')
    return readOtlp({ encoding: as, bytes, place, receivedAt: null })
  }

  /** @throws {KestConfigError} when it is something else: nothing was committed then */
  #assertOfSpans({ spans, others, findings }: SpanBatch): void {
    if (this.#known) return
    if (spans.length + others > 0) this.#known = true
    else if (findings.length > 0 && ++this.#unread >= MAX_UNREAD)
      throw new KestConfigError(
        `kafka: none of the first ${MAX_UNREAD} records of ${this.#options.topics.spans}, partition ${this.#partition}, is an export of OTLP: ${findings[0]?.message}`,
      )
  }

  async #write({ records, seen }: Pending): Promise<void> {
    for (const some of piecesOf(records)) {
      try {
        await this.#options.log.append(some)
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error
        for (const one of some) await this.#writeOne(one)
      }
    }
    for (const one of seen) this.#options.seen(one)
  }

  async #writeOne(record: NewRecord): Promise<void> {
    const { log, topics, clock } = this.#options
    try {
      await log.append([record])
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      const why = `a span of ${record.value?.length} bytes is more than topic ${record.topic} takes, and was not judged`
      const source = record.headers?.[SOURCE_HEADER] ?? ''
      const lost = finding('limit', why, { place: `${this.#place}:${source.split(':')[1]}` })
      await log.append([findingRecord(topics.findings, fleetFinding(lost, this.#place), clock())])
      this.#options.seen({ spans: 0, others: 0, findings: [lost] })
    }
  }
}

/** What is written together, and then told of. */
interface Pending {
  readonly records: NewRecord[]
  readonly seen: SplitRecord[]
  bytes: number
}
