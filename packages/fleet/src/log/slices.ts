import { Gone, type Log, type LogRecord, type LogSlice, Unavailable } from './log.js'

/** All from an offset on, as it is now. @throws the signal's reason once it is aborted */
export async function* slicesOf(
  log: Log,
  topic: string,
  partition: number,
  from: number,
  signal?: AbortSignal,
): AsyncGenerator<LogSlice> {
  const { start, end } = await log.bounds(topic, partition)
  for (let at = Math.max(from, start); at < end; ) {
    signal?.throwIfAborted()
    const slice = await log.read(topic, partition, at)
    assertRead(slice, topic, partition, at)
    if (slice.next <= at) return
    yield slice
    at = slice.next
  }
}

/** All of a partition, as it is now. */
export async function* recordsOf(
  log: Log,
  topic: string,
  partition: number,
  signal?: AbortSignal,
): AsyncGenerator<LogRecord> {
  for await (const { records } of slicesOf(log, topic, partition, 0, signal)) yield* records
}

/**
 * What lies before the end of a log is there, though a broker may answer nothing of it.
 *
 * @throws {Unavailable} when it did: to go on would be to take it for read
 */
export function assertRead({ next, end }: LogSlice, topic: string, partition: number, from: number): void {
  if (next <= from && from < end)
    throw new Unavailable(`${topic}, partition ${partition}: nothing was read at ${from}`)
}

/** As {@link Log.read}; of what retention took nothing, and the next is the first that is there. */
export async function readBehindGone(
  log: Log,
  topic: string,
  partition: number,
  from: number,
): Promise<LogSlice> {
  try {
    return await log.read(topic, partition, from)
  } catch (error) {
    if (!(error instanceof Gone)) throw error
    const { start, end } = await log.bounds(topic, partition)
    return { records: [], bytes: 0, next: from < start ? start : end, end }
  }
}
