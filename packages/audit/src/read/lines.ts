const NEWLINE = 10

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

/** The lines of a stream, of which at most `maxBytes` are held in memory: those of a chunk at a time. Empty ones are left out. */
export async function* readLines(stream: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Line[]> {
  let number = 1
  let parts: Buffer[] = []
  let length = 0
  const line = (ended: boolean): Line => {
    const bytes = length > maxBytes ? null : parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    return { number, bytes, length: length + Number(ended), ended }
  }
  for await (const chunk of stream) {
    const lines: Line[] = []
    let start = 0
    while (start < chunk.length) {
      if (length === 0 && chunk[start] === NEWLINE) {
        number++
        start++
        continue
      }
      const end = chunk.indexOf(NEWLINE, start)
      const part = chunk.subarray(start, end === -1 ? chunk.length : end)
      length += part.length
      if (length <= maxBytes) parts.push(part)
      else parts = []
      if (end === -1) break
      lines.push(line(true))
      number++
      parts = []
      length = 0
      start = end + 1
    }
    if (lines.length > 0) yield lines
  }
  if (length > 0) yield [line(false)]
}
