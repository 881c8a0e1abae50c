import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { createGunzip, type Gunzip } from 'node:zlib'
import { KestConfigError, KestError } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { faultBatch, type SpanBatch } from './batch.js'
import { batchOf } from './line-batch.js'
import { readLines } from './lines.js'
import { readSqlite } from './sqlite.js'

/** Bytes of a line that are read. The Collector writes a batch, 8,192 spans by default, as one line. */
const MAX_LINE_BYTES = 67_108_864
const CHUNK_BYTES = 262_144
const SNIFFED_BYTES = 64
const SQLITE_MAGIC = 'SQLite format 3\0'
/** Files of a folder with these names hold spans, or are wrong; of others the beginning decides. */
const SPAN_FILE = /\.(?:jsonl|ndjson|jws)(?:\.gz)?$/
/** What SQLite keeps beside a file, and reads by itself. */
const BESIDE = /-(?:wal|shm|journal)$/
/** What a file holds somewhere if it is an export of OTLP/JSON. */
const EXPORT_MARK = '"resourceSpans"'

/** How files are read. */
export interface ReadFilesOptions {
  /** Bytes of one line; a longer one is a finding `limit`. Default 67,108,864. */
  readonly maxLineBytes?: number
}

/** A file, and whether somebody named it. */
interface Found {
  readonly path: string
  readonly named: boolean
  /** That it is not read, and why. */
  readonly passed?: AuditFinding
}

/**
 * Spans in files: of the Collector's file exporter, of `@kest/telemetry` (lines or SQLite), or plain lists of entries.
 * What a file is, its beginning says; any of them but SQLite may be compressed by gzip. A folder stands for the files in it, in the order
 * of their names, whatever these are; folders in it are not read. What of a folder is not read, because it holds no spans or is no file,
 * is a finding `skipped`.
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
  const { maxLineBytes = MAX_LINE_BYTES } = options
  if (!Number.isSafeInteger(maxLineBytes) || maxLineBytes < 1)
    throw new KestConfigError(
      `readFiles: maxLineBytes: expected a positive integer, got ${String(maxLineBytes)}`,
    )
  for (const path of paths) {
    for (const found of await filesAt(path)) {
      if (found.passed === undefined) yield* readFile(found, maxLineBytes)
      else yield faultBatch(found.passed)
    }
  }
}

/** Bytes of all files there are, for whoever shows progress. */
export async function sizeOf(paths: readonly string[]): Promise<number> {
  let bytes = 0
  for (const path of paths) {
    for (const { path: file, passed } of await filesAt(path)) {
      if (passed === undefined) bytes += (await stat(file)).size
    }
  }
  return bytes
}

async function filesAt(path: string): Promise<Found[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ path, named: true }]
    const names = (await readdir(path)).sort()
    const known = new Set(names)
    const beside = await Promise.all(names.map((name) => isBeside(path, name, known)))
    const own = names.filter((_, i) => !beside[i])
    return await Promise.all(own.map((name) => fileIn(path, name)))
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    throw unreadable(path, cause)
  }
}

/** Whether SQLite keeps it beside a file of its own; of any other file it is a neighbour like all. */
async function isBeside(folder: string, name: string, names: ReadonlySet<string>): Promise<boolean> {
  const owner = name.replace(BESIDE, '')
  if (owner === name || !names.has(owner)) return false
  const path = join(folder, owner)
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true && (await sniff(path)).startsWith(SQLITE_MAGIC)
}

async function fileIn(folder: string, name: string): Promise<Found> {
  const path = join(folder, name)
  const file = { path, named: SPAN_FILE.test(name) }
  const passed = await stat(path).then(
    (found) => {
      if (found.isFile()) return undefined
      const message = found.isDirectory() ? 'it is a folder, and is not read' : 'it is no file'
      return finding('skipped', message, { place: path })
    },
    (cause: Error) => finding('unreadable', `it cannot be read: ${cause.message}`, { place: path }),
  )
  return passed === undefined ? file : { ...file, passed }
}

async function* readFile({ path, named }: Found, maxLineBytes: number): AsyncGenerator<SpanBatch> {
  const beginning = await sniff(path)
  if (beginning.startsWith(SQLITE_MAGIC)) {
    yield* readSqlite(path)
    return
  }
  const gzip = beginning.startsWith('\u001f\u008b')
  const begins = gzip || beginning === '' || /^\s*(?:\{\s*"resourceSpans"|ey|\[\s*"ey)/.test(beginning)
  if (!named && !begins && !(await holds(path, EXPORT_MARK))) {
    yield faultBatch(finding('skipped', 'it holds no spans, and is not read', { place: path }))
    return
  }
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES })
  const gunzip = gzip ? inflated(file) : undefined
  const stream = gunzip ?? file
  try {
    for await (const line of readLines(stream, maxLineBytes)) yield batchOf(line, path)
    // Zero bytes are padding to gunzip, whatever comes after them.
    if (gunzip !== undefined && gunzip.bytesWritten < file.bytesRead) {
      const message = 'the rest of it cannot be read: it comes after the end of what is compressed'
      yield faultBatch(finding('unreadable', message, { place: path }))
    }
  } catch (error) {
    // What was read before stands; the rest of this file is missing, and that is said.
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    yield faultBatch(finding('unreadable', `the rest of it cannot be read: ${message}`, { place: path }))
  } finally {
    file.destroy()
    stream.destroy()
  }
}

function inflated(file: Readable): Gunzip {
  const gunzip = createGunzip()
  file.on('error', (error) => gunzip.destroy(error))
  return file.pipe(gunzip)
}

/** Whether a text occurs in a file, wherever. */
async function holds(path: string, text: string): Promise<boolean> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES })
  let end: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of file) {
      const bytes = Buffer.concat([end, chunk as Buffer])
      if (bytes.includes(text)) return true
      end = bytes.subarray(-text.length)
    }
    return false
  } catch (cause) {
    throw unreadable(path, cause)
  } finally {
    file.destroy()
  }
}

async function sniff(path: string): Promise<string> {
  let file: FileHandle | undefined
  try {
    file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFFED_BYTES), 0, SNIFFED_BYTES, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } catch (cause) {
    throw unreadable(path, cause)
  } finally {
    await file?.close()
  }
}

function unreadable(path: string, cause: unknown): KestError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException
  return new KestError('ERR_KEST_EVIDENCE', `${path}: it cannot be read: ${code}`, { cause })
}
