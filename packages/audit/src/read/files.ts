import { createReadStream, fstatSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { assertOptions, KestConfigError, KestError, openRegularFile } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { faultBatch, type SpanBatch } from './batch.js'
import { readContent } from './content.js'
import { type Kind, kindOf, SNIFFED_BYTES } from './kind.js'
import { lookThrough } from './look-through.js'
import { readSqlite } from './sqlite.js'
import { filesInFolder } from './walk.js'

/** Bytes of a line that are read. The Collector writes a batch, 8,192 spans by default, as one line. */
export const MAX_LINE_BYTES = 67_108_864
const CHUNK_BYTES = 262_144
/** Files of a folder with these names hold spans, or are wrong; of others what is in them decides. */
const SPAN_FILE = /\.(?:jsonl|ndjson|jws)(?:\.(?:gz|zst))?$/
/** What SQLite keeps beside a file, and reads by itself. */
const BESIDE = /-(?:wal|shm|journal)$/
/** A descriptor that whoever started the process handed down: `<(zcat …)` of a shell is the path of one. */
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/

/** How files are read. */
export interface ReadFilesOptions {
  /** Bytes of one line, or message; a longer one is a finding `limit`. Default 67,108,864. */
  readonly maxLineBytes?: number
}

/** A file of those that were named. */
export interface Found {
  readonly path: string
  /** Whether it holds spans or is wrong, because somebody named it, or by its own name. */
  readonly named: boolean
  /** Whether it is one of a folder, which nobody asked for by itself. */
  readonly inFolder: boolean
  /** That it is not read, and why. */
  readonly passed?: AuditFinding
}

/**
 * Spans in files: of the Collector's file exporter, of `@kest/telemetry` (lines or SQLite), answers of Jaeger and Tempo, or plain lists of entries.
 * What a file is, its beginning says; any of them but SQLite may be compressed by gzip, or by zstd where Node has it (from 22.15 on).
 *
 * A path is a regular file, by whatever links; a folder; or a descriptor that was handed down (`/dev/fd/N`), which is read to its end,
 * whenever that comes. Of a file as much is read as there is when it is opened. A folder stands for the files in it and in
 * its folders, as {@link filesInFolder} has them, whatever their names are. What of it is not read (a hidden folder, one by a link, a FIFO,
 * what is compressed otherwise) is a finding `unreadable`, or `limit`; of a text that was looked through and holds no spans there is a note `skipped`.
 *
 * Holds one line at a time. What cannot be read is a finding with file and line.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` when a path cannot be opened; `ERR_KEST_CONFIG` for wrong options or an SQLite
 *   file where `libsql` is not installed
 */
export async function* readFiles(
  paths: readonly string[],
  options: ReadFilesOptions = {},
): AsyncGenerator<SpanBatch> {
  const maxBytes = maxBytesOf('readFiles', options)
  for (const path of paths) {
    const descriptor = DESCRIPTOR.exec(path)?.[1]
    if (descriptor !== undefined) {
      yield* readContent(openDescriptor(path, Number(descriptor)), path, maxBytes)
      continue
    }
    for await (const found of filesAt(path)) {
      if (found.passed === undefined) yield* readFile(found, maxBytes)
      else yield faultBatch(found.passed)
    }
  }
}

/**
 * Spans in a stream, such as standard input, which is read to its end: all that {@link readFiles} reads but SQLite.
 *
 * @param name as findings call it
 * @throws {KestError} `ERR_KEST_CONFIG` for wrong options
 */
export async function* readStream(
  stream: Readable,
  name: string,
  options: ReadFilesOptions = {},
): AsyncGenerator<SpanBatch> {
  yield* readContent(stream as AsyncIterable<Buffer>, name, maxBytesOf('readStream', options))
}

/** Bytes of all files there are, for whoever shows progress. */
export async function sizeOf(paths: readonly string[]): Promise<number> {
  let bytes = 0
  for (const path of paths) {
    if (DESCRIPTOR.test(path)) continue
    for await (const { path: file, passed } of filesAt(path)) {
      if (passed === undefined) bytes += (await stat(file).catch(() => undefined))?.size ?? 0
    }
  }
  return bytes
}

/** @param known all names of options that there may be */
export function maxBytesOf(
  name: string,
  options: ReadFilesOptions,
  known: readonly string[] = ['maxLineBytes'],
): number {
  assertOptions(name, options, known)
  const { maxLineBytes = MAX_LINE_BYTES } = options
  if (Number.isSafeInteger(maxLineBytes) && maxLineBytes > 0) return maxLineBytes
  throw new KestConfigError(`${name}: maxLineBytes: expected a positive integer, got ${String(maxLineBytes)}`)
}

/** The files of a path. @throws {KestError} when it cannot be opened */
export async function* filesAt(path: string): AsyncGenerator<Found> {
  try {
    if (!(await stat(path)).isDirectory()) {
      yield { path, named: true, inFolder: false }
      return
    }
    for await (const { path: file, passed } of filesInFolder(path)) {
      const found = { path: file, named: SPAN_FILE.test(file), inFolder: true }
      if (passed !== null) yield { ...found, passed: finding(passed.code, passed.why, { place: file }) }
      else if (!(await isBeside(file))) yield found
    }
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

/** Whether SQLite keeps it beside a file of its own; of any other file it is a neighbour like all. */
async function isBeside(file: string): Promise<boolean> {
  const owner = file.replace(BESIDE, '')
  if (owner === file) return false
  const kind = await kindAt(owner).catch(() => undefined)
  return kind?.is === 'sqlite'
}

async function* readFile({ path, named, inFolder }: Found, maxBytes: number): AsyncGenerator<SpanBatch> {
  let stream: Readable
  try {
    const kind = await kindAt(path)
    if (kind.is === 'sqlite') {
      yield* readSqlite(path)
      return
    }
    const looks =
      named || kind.is !== 'lines' || kind.ours ? 'spans' : await lookThrough(await openStream(path))
    if (looks !== 'spans') {
      yield faultBatch(
        looks === 'text'
          ? finding('skipped', 'it is a text that holds no spans', { place: path })
          : finding('unreadable', 'nobody knows what it is', { place: path }),
      )
      return
    }
    stream = await openStream(path)
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    if (!inFolder) throw unreadable(path, cause)
    yield faultBatch(finding('unreadable', `it cannot be read: ${(cause as Error).message}`, { place: path }))
    return
  }
  try {
    yield* readContent(stream, path, maxBytes)
  } finally {
    stream.destroy()
  }
}

/** As much as there is now: whoever writes faster than is read would keep it going for ever. */
async function openStream(path: string): Promise<Readable> {
  const file = await openRegularFile(path)
  const { size } = await file.stat()
  return file.createReadStream({ highWaterMark: CHUNK_BYTES, ...(size > 0 ? { end: size - 1 } : {}) })
}

async function kindAt(path: string): Promise<Kind> {
  const file = await openRegularFile(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFFED_BYTES), 0, SNIFFED_BYTES, 0)
    return kindOf(buffer.subarray(0, bytesRead), MAX_LINE_BYTES)
  } finally {
    await file.close()
  }
}

function openDescriptor(path: string, fd: number): Readable {
  let known: boolean
  try {
    const found = fstatSync(fd)
    known = found.isFile() || found.isFIFO() || found.isSocket()
  } catch (cause) {
    throw unreadable(path, cause)
  }
  if (!known) throw unreadable(path, new Error('it is neither a file nor a pipe'))
  return createReadStream('', { fd, autoClose: false, highWaterMark: CHUNK_BYTES })
}

function unreadable(path: string, cause: unknown): KestError {
  const { code, message } = cause as NodeJS.ErrnoException
  return new KestError('ERR_KEST_EVIDENCE', `${path}: it cannot be read: ${code ?? message}`, { cause })
}
