import { type FindingCode, finding } from '../finding.js'
import { Unreadable, withoutStacks } from '../span/unreadable.js'
import { faultBatch, type SpanBatch } from './batch.js'
import { ByteReader } from './byte-reader.js'
import { OTHER_SIGNAL } from './export-text.js'
import { TooLarge } from './growth.js'
import { inflate } from './inflate.js'
import { kindOf, SNIFFED_BYTES } from './kind.js'
import { batchOf } from './line-batch.js'
import { type Line, readLines } from './lines.js'
import { readMessages } from './messages.js'
import { protobufBatch } from './protobuf-batch.js'

/** Spans that are handed on at once, of short lines. */
const MOST_SPANS = 1_024

/**
 * Spans in a stream of bytes, whatever its beginning says that it is; all but SQLite, which needs a file.
 *
 * Holds one line, message or document at a time. What cannot be read is a finding, and so is that the stream breaks off.
 *
 * @param name as findings call it
 * @param sniffed bytes of the beginning that say what it is: of a stream that has no more yet, fewer
 */
export async function* readContent(
  source: AsyncIterable<Buffer>,
  name: string,
  maxBytes: number,
  sniffed: number = SNIFFED_BYTES,
): AsyncGenerator<SpanBatch> {
  let otherSignals = 0
  try {
    for await (const batch of batchesOf(source, name, maxBytes, sniffed)) {
      if (batch === OTHER_SIGNAL) otherSignals++
      else yield batch
    }
  } catch (error) {
    // What was read before stands; the rest is missing, and that is said.
    const code = codeOf(error)
    if (code === undefined) throw error
    const why = `the rest of it cannot be read: ${(error as Error).message}`
    yield faultBatch(finding(code, why, { place: name }))
  }
  if (otherSignals > 0) {
    const why = `${otherSignals} exports of logs, metrics or profiles in it are not read`
    yield faultBatch(finding('skipped', why, { place: name }))
  }
}

async function* batchesOf(
  source: AsyncIterable<Buffer>,
  name: string,
  maxBytes: number,
  sniffed: number,
  compressed = false,
): AsyncGenerator<SpanBatch | typeof OTHER_SIGNAL> {
  const reader = new ByteReader(source)
  const beginning = await reader.peek(sniffed)
  const kind = kindOf(beginning, maxBytes)
  switch (kind.is) {
    case 'gzip':
    case 'zstd':
      if (compressed) throw new Unreadable('it is compressed twice')
      yield* batchesOf(inflate(kind.is, reader.rest()), name, maxBytes, SNIFFED_BYTES, true)
      return
    case 'messages':
      yield* readMessages(reader, name, maxBytes)
      return
    case 'protobuf':
      yield protobufBatch(await documentOf(reader, maxBytes), name)
      return
    case 'document':
      yield batchOf(await documentOf(reader, maxBytes), name)
      return
    case 'lines':
      for await (const lines of readLines(reader.rest(), maxBytes)) yield* gathered(lines, name)
      return
    case 'sqlite':
      throw new Unreadable('it is an SQLite file, which is read from a file of its own alone')
    case 'other':
      throw new Unreadable(kind.why)
  }
}

/** Batches of short lines are few spans each: together they are handed on faster. */
function* gathered(lines: readonly Line[], name: string): Generator<SpanBatch | typeof OTHER_SIGNAL> {
  let spans: SpanBatch['spans'][number][] = []
  let findings: SpanBatch['findings'][number][] = []
  let others = 0
  let bytes = 0
  for (const line of lines) {
    const batch = withoutStacks(() => batchOf(line, name))
    if (batch === OTHER_SIGNAL) {
      yield batch
      continue
    }
    for (const span of batch.spans) spans.push(span)
    for (const one of batch.findings) findings.push(one)
    others += batch.others
    bytes += batch.bytes
    if (spans.length + findings.length < MOST_SPANS) continue
    yield { spans, others, findings, bytes }
    spans = []
    findings = []
    others = 0
    bytes = 0
  }
  if (bytes > 0) yield { spans, others, findings, bytes }
}

/** All of it as one line. */
async function documentOf(reader: ByteReader, maxBytes: number): Promise<Line> {
  const bytes = await reader.take(maxBytes + 1)
  const more = bytes.length > maxBytes
  const length = bytes.length + (more ? await reader.drain() : 0)
  return { number: 1, bytes: more ? null : bytes, length, ended: true }
}

/** What a stream throws that is about what is in it, or about the system. */
function codeOf(error: unknown): FindingCode | undefined {
  if (error instanceof TooLarge) return 'limit'
  if (error instanceof Unreadable) return 'unreadable'
  return (error as NodeJS.ErrnoException).code === undefined ? undefined : 'unreadable'
}
