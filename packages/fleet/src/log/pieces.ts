import type { NewRecord } from './log.js'

/** What is written at once: less than any topic of ours takes together, unless one record is more. */
export const MAX_RECORDS = 1_000
export const MAX_BYTES = 1_048_576

/** Records in order, some at a time. */
export function* piecesOf(
  records: readonly NewRecord[],
  maxRecords = MAX_RECORDS,
  maxBytes = MAX_BYTES,
): Generator<NewRecord[]> {
  let piece: NewRecord[] = []
  let bytes = 0
  for (const record of records) {
    const more = record.value?.length ?? 0
    if (piece.length > 0 && (piece.length === maxRecords || bytes + more > maxBytes)) {
      yield piece
      piece = []
      bytes = 0
    }
    piece.push(record)
    bytes += more
  }
  if (piece.length > 0) yield piece
}
