import type { Readable } from 'node:stream'

const NEWLINE = 10
const CARRIAGE_RETURN = 13

/** A line of a file, without what ends it. */
export interface Line {
  /** From 1. */
  readonly number: number
  /** `null` when it is longer than was allowed: the rest of it was passed over. */
  readonly bytes: Buffer | null
  /** Of the line and its end, in the file. */
  readonly length: number
  /** Whether it has an end: the last of a file whose writer died has none. */
  readonly ended: boolean
}

/** The lines of a stream, of which at most `maxBytes` are held in memory. */
export async function* readLines(stream: Readable, maxBytes: number): AsyncGenerator<Line> {
  let number = 1
  let parts: Buffer[] = []
  let length = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start)
      const part = chunk.subarray(start, end === -1 ? chunk.length : end)
      length += part.length
      if (length <= maxBytes) parts.push(part)
      else parts = []
      if (end === -1) break
      yield { number, bytes: length > maxBytes ? null : joined(parts), length: length + 1, ended: true }
      number++
      parts = []
      length = 0
      start = end + 1
    }
  }
  if (length > 0) yield { number, bytes: length > maxBytes ? null : joined(parts), length, ended: false }
}

function joined(parts: readonly Buffer[]): Buffer {
  const line = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line
}
