import type { Log, LogRecord } from '../log/log.js'
import { assertRead, readBehindGone } from '../log/slices.js'
import { LastOffsets } from './last-offsets.js'

/** What a partition has at one time. */
interface Extent {
  readonly topic: string
  readonly partition: number
  /** What lies there, or behind, came later. */
  readonly end: number
}

export interface LastRecordsOptions {
  readonly log: Log
  readonly topic: string
  /** What of a record tells it apart from others; `null`: it replaces none, and none replaces it. */
  readonly keyOf: (record: LogRecord) => string | null
  /** Told of keys whose last record was gone before it was read: a newer one had come, or retention took it. */
  readonly lost: (place: string, count: number) => void
}

/**
 * Of each key the last record that is there when it begins, partition by partition, and what has no key. Each partition is read twice:
 * first for where they lie, and then for what they say. Nothing is kept of a record but that, and no group is joined.
 */
export async function* lastRecords({
  log,
  topic,
  keyOf,
  lost,
}: LastRecordsOptions): AsyncGenerator<{ readonly record: LogRecord; readonly place: string }> {
  const extents: Extent[] = []
  for (let partition = 0; partition < (await log.partitions(topic)); partition++)
    extents.push({ topic, partition, end: (await log.bounds(topic, partition)).end })
  for (const extent of extents) {
    const last = new LastOffsets()
    for await (const record of recordsIn(log, extent)) {
      const key = keyOf(record)
      if (key !== null) last.set(key, record.offset)
    }
    let found = 0
    const name = `${topic}/${extent.partition}`
    for await (const record of recordsIn(log, extent)) {
      const key = keyOf(record)
      if (key !== null && !last.isLast(key, record.offset)) continue
      if (key !== null) found++
      yield { record, place: `${name}:${record.offset}` }
    }
    if (found < last.size) lost(name, last.size - found)
  }
}

async function* recordsIn(log: Log, { topic, partition, end }: Extent): AsyncGenerator<LogRecord> {
  let { start: at } = await log.bounds(topic, partition)
  while (at < end) {
    // What retention took is nobody's verdict any more.
    const slice = await readBehindGone(log, topic, partition, at)
    assertRead(slice, topic, partition, at)
    if (slice.next <= at) return
    for (const record of slice.records) if (record.offset < end) yield record
    at = slice.next
  }
}
