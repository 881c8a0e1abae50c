import { pathToFileURL } from 'node:url'
import { KestConfigError, KestError } from '@kest/core'
import type DatabaseClass from 'libsql'
import { type FindingCode, finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { parseJson } from '../span/parse-json.js'
import { TooManyParts } from '../span/parts.js'
import { Unreadable } from '../span/unreadable.js'
import { faultBatch, type SpanBatch } from './batch.js'

/** "KEST": what `@kest/telemetry` writes into the header of its files. */
const APPLICATION_ID = 0x4b455354
const VERSION = 1
/** How long whoever closes the file, and holds it alone meanwhile, is waited for, milliseconds. */
const BUSY_MS = 30_000
/** Bytes of a row that are read; a span with a passport of the greatest size has fewer. */
const MAX_ROW = 2_097_152

/** Of a `PRAGMA`. */
interface Answer {
  readonly schema?: unknown
  readonly type?: unknown
  readonly hidden?: unknown
  readonly encoding?: unknown
}

/** `STRICT` and `NOT NULL` where `@kest/telemetry` made the table: somebody else may have made it otherwise. */
interface Row {
  readonly id: unknown
  readonly type: unknown
  /** Bytes. */
  readonly size: bigint | null
  /** As bytes, for what comes after a zero byte would not be in a text. */
  readonly otlp: ArrayBuffer | null
}

/**
 * Spans in an SQLite file of `@kest/telemetry`, read-only, a page of rows at a time. Its columns are an index, and are not
 * believed: only the export that each row holds is read. Whoever made the file could make it anything, so what is read must be a plain
 * table, whose rows end. Who has the file alone is waited for, 30 s at most. Needs `libsql`, which is loaded when the first such file is read.
 *
 * @throws {KestError} `ERR_KEST_CONFIG` when `libsql` is not installed; `ERR_KEST_EVIDENCE` when the file is not one of
 *   `@kest/telemetry`, or is damaged
 */
export async function* readSqlite(file: string): AsyncGenerator<SpanBatch> {
  const database = await openDatabase(file)
  try {
    let last: bigint | undefined
    for (const row of rowsOf(file, database)) {
      const { id } = row
      // A tree that leads to one page twice could do so for ever.
      if (typeof id !== 'bigint' || (last !== undefined && id <= last))
        throw new KestError(
          'ERR_KEST_EVIDENCE',
          `${file}: SQLite cannot read it: its rows are not in the order of their ids`,
        )
      last = id
      yield batchOf(row, { file, line: Number(id) })
    }
  } finally {
    database.close()
  }
}

function* rowsOf(file: string, database: DatabaseClass.Database): Generator<Row> {
  const rows = attempt(file, () => {
    // The length in bytes is in the header of a row, and nothing more of it is loaded.
    const select = database.prepare(
      `SELECT id, typeof(otlp) AS type, octet_length(otlp) AS size,
         CASE WHEN octet_length(otlp) <= ? THEN CAST(otlp AS BLOB) END AS otlp FROM main.spans NOT INDEXED`,
    )
    // Ids have 64 bits, and numbers of JavaScript 53.
    return select.safeIntegers(true).iterate(MAX_ROW) as Iterator<Row>
  })
  for (;;) {
    const { done, value } = attempt(file, () => rows.next())
    if (done === true) return
    yield value
  }
}

function batchOf({ type, otlp, size }: Row, place: Place): SpanBatch {
  const bytes = Number(size ?? 0)
  const fault = (code: FindingCode, why: string) =>
    faultBatch(finding(code, why, { place: placeText(place) }), bytes)
  if (type !== 'text') return fault('unreadable', 'it is no text')
  if (otlp === null) return fault('limit', `a row of ${bytes} bytes, which is more than is read`)
  try {
    const read = readOtlpJson(parseJson(Buffer.from(otlp)), { place, receivedAt: null })
    return { ...read, findings: [], bytes }
  } catch (error) {
    if (error instanceof TooManyParts) return fault('limit', error.message)
    if (error instanceof Unreadable) return fault('unreadable', error.message)
    throw error
  }
}

async function openDatabase(file: string): Promise<DatabaseClass.Database> {
  const Database = await load(file)
  return attempt(file, () => {
    // As a path, whatever it looks like: an address would be connected to. Evidence is not changed: whoever may write, moves the log
    // into the file on closing it. Of libsql's options none says so.
    const database = new Database(`${pathToFileURL(file).href}?mode=ro`, { timeout: BUSY_MS })
    const application = numberOf(database, 'application_id')
    const version = numberOf(database, 'user_version')
    const strange =
      application !== APPLICATION_ID || version !== VERSION
        ? `application_id ${String(application)}, version ${String(version)}`
        : textEncoding(database) !== 'UTF-8'
          ? 'its texts are not UTF-8'
          : hasPlainTable(database)
            ? undefined
            : 'its spans are no plain table'
    if (strange === undefined) return database
    database.close()
    throw new KestError(
      'ERR_KEST_EVIDENCE',
      `${file}: it is an SQLite file, but not one of @kest/telemetry (${strange})`,
    )
  })
}

/**
 * Neither a view, which computes its rows, nor a virtual table, nor one with columns that are computed. Asked by statements, for the
 * functions that answer the same, `pragma_table_list`, are names that the file can give to something else.
 */
function hasPlainTable(database: DatabaseClass.Database): boolean {
  const tables = database.prepare("PRAGMA main.table_list('spans')").all() as Answer[]
  const columns = database.prepare("PRAGMA main.table_xinfo('spans')").all() as Answer[]
  return (
    tables.length === 1 &&
    tables.every(({ schema, type }) => schema === 'main' && type === 'table') &&
    columns.length > 0 &&
    columns.every(({ hidden }) => Number(hidden) === 0)
  )
}

function textEncoding(database: DatabaseClass.Database): unknown {
  return (database.prepare('PRAGMA main.encoding').get() as Answer).encoding
}

/** libsql answers a row, whatever is asked of it. */
function numberOf(database: DatabaseClass.Database, pragma: string): number {
  return Number((database.prepare(`PRAGMA ${pragma}`).get() as Readonly<Record<string, unknown>>)[pragma])
}

async function load(file: string): Promise<typeof DatabaseClass> {
  try {
    return (await import('libsql')).default
  } catch (cause) {
    throw new KestConfigError(`${file}: reading SQLite needs the package libsql, which cannot be loaded`, {
      cause,
    })
  }
}

function attempt<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    throw new KestError(
      'ERR_KEST_EVIDENCE',
      `${file}: SQLite cannot read it: ${String((cause as Error).message)}`,
      { cause },
    )
  }
}
