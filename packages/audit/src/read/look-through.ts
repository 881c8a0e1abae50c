import type { Readable } from 'node:stream'
import { TextDecoder } from 'node:util'

/** Something of Kest in JSON, an export of OTLP/JSON, or an entry: what has none of these holds nothing for an auditor. */
const MARKS = ['"kest.', '"resourceSpans"', 'eyJ'].map((mark) => Buffer.from(mark))
const LONGEST = Math.max(...MARKS.map(({ length }) => length))

/**
 * Looks through a stream for spans, until it finds a word of them or the end.
 *
 * @returns `binary` for what has no such word and is no text: what else it could hold, nobody knows
 */
export async function lookThrough(stream: Readable): Promise<'spans' | 'text' | 'binary'> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = true
  let end: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const bytes = Buffer.concat([end, chunk])
      if (MARKS.some((mark) => bytes.includes(mark))) return 'spans'
      text &&= !chunk.includes(0) && decodes(decoder, chunk)
      end = bytes.subarray(-LONGEST)
    }
  } finally {
    stream.destroy()
  }
  return text && decodes(decoder) ? 'text' : 'binary'
}

/** @param chunk the next; none at the end */
function decodes(decoder: TextDecoder, chunk?: Buffer): boolean {
  try {
    if (chunk === undefined) decoder.decode()
    else decoder.decode(chunk, { stream: true })
    return true
  } catch {
    return false
  }
}
