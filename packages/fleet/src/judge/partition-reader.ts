import { Gone, type Log, type LogRecord, type LogSlice } from '../log/log.js'
import { assertRead, slicesOf } from '../log/slices.js'
import { SOURCE_HEADER } from '../split/span-record.js'
import type { FleetTopics } from '../topics.js'
import type { Judged } from './judged-index.js'
import { countOf, MAX_TRACE_SPANS } from './positions.js'
import { decodeVerdict, type VerdictRecord } from './verdict-record.js'

/** Spans of a verdict that are read again: those that it was judged with, and as many that came before it was full. */
const MAX_POSITIONS = 2 * MAX_TRACE_SPANS
/** Bytes that are read at once where one record is wanted. */
const FEW_BYTES = 65_536

/** A span of a trace that is open, not read yet. */
export interface Item {
  readonly offset: number
  readonly source: string
  readonly value: Buffer
}

/** A copy: a part of what was read at once would hold all of it in memory. */
export function itemOf(offset: number, value: Uint8Array, headers: LogRecord['headers']): Item {
  return { offset, source: headers.get(SOURCE_HEADER) ?? `${offset}`, value: Buffer.from(value) }
}

/** What one partition has of traces that were judged before. */
export class PartitionReader {
  readonly #log: Log
  readonly #topics: FleetTopics
  readonly #partition: number

  constructor(log: Log, topics: FleetTopics, partition: number) {
    this.#log = log
    this.#topics = topics
    this.#partition = partition
  }

  /** The last verdict of a trace; `null` when retention took it, and for one that no auditor has written so. */
  async verdictBefore(key: string, { verdict }: Judged): Promise<VerdictRecord | null> {
    try {
      const slice = await this.#log.read(this.#topics.verdicts, this.#partition, verdict, FEW_BYTES)
      assertRead(slice, this.#topics.verdicts, this.#partition, verdict)
      const found = slice.records.find(({ offset }) => offset === verdict)
      if (found?.key === key) return verdictIn(found)
    } catch (error) {
      if (error instanceof Gone) return null
      throw error
    }
    let last: LogRecord | null = null
    for await (const { records } of slicesOf(this.#log, this.#topics.verdicts, this.#partition, verdict))
      for (const record of records) if (record.key === key) last = record
    return last === null ? null : verdictIn(last)
  }

  /**
   * Spans of a trace that were judged before.
   * @param offsets ascending
   */
  async spansAt(offsets: readonly number[]): Promise<{ found: Item[]; missing: boolean }> {
    const wanted = new Set(offsets)
    const found: Item[] = []
    for (let n = 0; n < offsets.length; ) {
      const from = offsets[n] as number
      const slice = await this.#readFrom(from)
      if (slice === null) break
      for (const { offset, value, headers } of slice.records)
        if (wanted.has(offset) && value !== null) found.push(itemOf(offset, value, headers))
      assertRead(slice, this.#topics.entries, this.#partition, from)
      if (slice.next <= from) break
      while (n < offsets.length && (offsets[n] as number) < slice.next) n++
    }
    return { found, missing: found.length < wanted.size }
  }

  /** @returns `null` when nothing is there any more */
  async #readFrom(from: number): Promise<LogSlice | null> {
    try {
      return await this.#log.read(this.#topics.entries, this.#partition, from, FEW_BYTES)
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      const { start } = await this.#log.bounds(this.#topics.entries, this.#partition)
      return start > from ? { records: [], bytes: 0, next: start, end: start } : null
    }
  }
}

/** What has more positions than a fleet writes would be read for ever. */
function verdictIn({ value }: LogRecord): VerdictRecord | null {
  const verdict = decodeVerdict(value)
  return verdict !== null && countOf(verdict.fleet.positions.offsets) <= MAX_POSITIONS ? verdict : null
}
