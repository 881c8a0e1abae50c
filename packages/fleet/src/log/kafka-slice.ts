import type { LogRecord, LogSlice } from './log.js'

/** What a broker answers of one partition. */
export interface FetchAnswer {
  readonly lastStableOffset: bigint
  /** Where transactions begin that were aborted, as far as they touch what is answered. */
  readonly abortedTransactions?:
    | readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
    | null
  readonly records?: readonly FetchedBatch[]
}

interface FetchedBatch {
  readonly firstOffset: bigint
  readonly lastOffsetDelta: number
  readonly firstTimestamp: bigint
  readonly attributes: number
  readonly producerId: bigint
  readonly records: readonly {
    readonly offsetDelta: number
    readonly timestampDelta: bigint
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: readonly (readonly [Buffer | null, Buffer | null])[]
  }[]
}

/** What a record takes beside its value, about. */
const RECORD_BYTES = 64
const TRANSACTIONAL = 0x10
/** Markers of transactions are records to nobody. */
const CONTROL = 0x20
/** A marker's key: its version, then what it marks. */
const TYPE_AT = 2
const ABORT = 0

/** What was committed, from an offset on. */
export function sliceOf(
  { lastStableOffset, abortedTransactions, records = [] }: FetchAnswer,
  from: number,
): LogSlice {
  const begun = [...(abortedTransactions ?? [])].sort((a, b) => Number(a.firstOffset - b.firstOffset))
  const aborted = new Set<bigint>()
  const found: LogRecord[] = []
  let next = from
  let bytes = 0
  for (const batch of records) {
    const { firstOffset, lastOffsetDelta, attributes, producerId } = batch
    const last = firstOffset + BigInt(lastOffsetDelta)
    next = Number(last) + 1
    for (const { value } of batch.records) bytes += RECORD_BYTES + (value?.length ?? 0)
    while (begun[0] !== undefined && begun[0].firstOffset <= last)
      aborted.add((begun.shift() as (typeof begun)[number]).producerId)
    if ((attributes & CONTROL) !== 0) {
      if (batch.records[0]?.key?.readInt16BE(TYPE_AT) === ABORT) aborted.delete(producerId)
    } else if ((attributes & TRANSACTIONAL) === 0 || !aborted.has(producerId))
      for (const record of recordsOf(batch)) if (record.offset >= from) found.push(record)
  }
  return { records: found, bytes, next: Math.max(next, from), end: Number(lastStableOffset) }
}

function* recordsOf({ firstOffset, firstTimestamp, records }: FetchedBatch): Generator<LogRecord> {
  for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
    yield {
      offset: Number(firstOffset) + offsetDelta,
      timestampMs: Number(firstTimestamp + timestampDelta),
      key: key === null ? null : key.toString('utf8'),
      value,
      headers: new Map(headers.map(([name, text]) => [String(name ?? ''), String(text ?? '')])),
    }
  }
}
