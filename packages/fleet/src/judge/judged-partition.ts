import type { Log, LogRecord } from '../log/log.js'
import { slicesOf } from '../log/slices.js'
import { TRACE_ID, UNTRACED_KEY } from '../split/span-record.js'
import { type Judged, JudgedIndex } from './judged-index.js'
import { ALL, COVERED_HEADER } from './verdict-record.js'
import { WAITS_HEADER, type Waiting, WaitingTraces, waitsIn } from './waiting.js'

/** A verdict that was written. */
export interface Written {
  readonly key: string
  readonly judged: Judged
  /** For what it names; `null`: it does not. */
  readonly waits: Waiting | null
}

/**
 * What is known of one partition's verdicts, as far as they were read: each once, by whoever judges it, however often he begins anew.
 * What retention took is forgotten.
 */
export class JudgedPartition {
  readonly #index = new JudgedIndex()
  readonly waiting: WaitingTraces
  #next = 0
  #untraced = -1
  #judgedMs = 0

  constructor(maxWaiting: number) {
    this.waiting = new WaitingTraces(maxWaiting)
  }

  /** Traces of it. */
  get size(): number {
    return this.#index.size
  }

  /** The latest time of the log at which a trace was judged that waits or has waited, as far as is known. */
  get judgedMs(): number {
    return this.#judgedMs
  }

  get(traceId: string): Judged | undefined {
    return this.#index.get(traceId)
  }

  /** All spans of it up to this offset were judged. */
  coveredOf(key: string): number {
    return key === UNTRACED_KEY ? this.#untraced : (this.#index.get(key)?.covered ?? -1)
  }

  /** Reads those that were not read before. */
  async follow(log: Log, topic: string, partition: number, signal?: AbortSignal): Promise<void> {
    for await (const { records, next } of slicesOf(log, topic, partition, this.#next, signal)) {
      for (const record of records) this.#see(record)
      this.#next = next
    }
    await this.forget(log, topic, partition)
  }

  /** Told of those that were written, by whoever alone writes them. */
  add(written: Iterable<Written>): void {
    for (const one of written) {
      this.#set(one)
      this.#next = Math.max(this.#next, one.judged.verdict + 1)
    }
  }

  /** Told of a verdict that was written once more as it is, by whoever alone writes them: where it is from now on. */
  move(traceId: string, verdict: number): void {
    this.#index.set(traceId, { verdict, covered: this.coveredOf(traceId) })
    this.#next = Math.max(this.#next, verdict + 1)
  }

  async forget(log: Log, topic: string, partition: number): Promise<void> {
    this.#index.forget((await log.bounds(topic, partition)).start)
  }

  #see({ key, offset, headers }: LogRecord): void {
    const covered = coveredIn(headers.get(COVERED_HEADER))
    if (key === null || covered === null) return
    this.#set({ key, judged: { verdict: offset, covered }, waits: waitsIn(headers.get(WAITS_HEADER)) })
  }

  #set({ key, judged, waits }: Written): void {
    if (!TRACE_ID.test(key)) {
      if (judged.covered !== Number.POSITIVE_INFINITY)
        this.#untraced = Math.max(this.#untraced, judged.covered)
    } else if (this.#index.set(key, judged)) {
      this.waiting.set(key, waits)
      this.#judgedMs = Math.max(this.#judgedMs, waits?.sinceMs ?? 0)
    }
  }
}

function coveredIn(text: string | undefined): number | null {
  if (text === ALL) return Number.POSITIVE_INFINITY
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}
