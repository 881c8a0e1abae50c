import { KestConfigError, KestError } from '@kest/core'
import type DatabaseClass from 'libsql'
import { finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { faultBatch, type SpanBatch } from './batch.js'

/** "KEST": what `@kest/telemetry` writes into the header of its files. */
const APPLICATION_ID = 0x4b455354
const VERSION = 1
/** Characters of a row that are read; a span with a passport of the greatest size has fewer. */
const MAX_ROW = 2_097_152

/** `STRICT` and `NOT NULL` where `@kest/telemetry` made the table: somebody else may have made it otherwise. */
interface Row {
  readonly id: unknown
  readonly size: bigint | null
  readonly otlp: unknown
}

/**
 * Spans in an SQLite file of `@kest/telemetry`, read-only, a page of rows at a time. Its columns are an index, and are not
 * believed: only the export that each row holds is read. Whoever made the file could make it anything, so what is read must be a plain
 * table, whose rows end. Needs `libsql`, which is loaded when the first such file is read.
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
    const select = database.prepare(
      'SELECT id, length(otlp) AS size, CASE WHEN length(otlp) <= ? THEN otlp END AS otlp FROM main.spans NOT INDEXED',
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

function batchOf({ otlp, size }: Row, place: Place): SpanBatch {
  if (otlp === null && size !== null) {
    return faultBatch(
      finding('limit', `a row of ${size} characters, which is more than is read`, {
        place: placeText(place),
      }),
    )
  }
  const read = readOtlpJson(parse(otlp), { place, receivedAt: null })
  if (read !== undefined) return { ...read, findings: [], bytes: Number(size) }
  return faultBatch(
    finding('unreadable', 'it is not an export of OTLP/JSON', { place: placeText(place) }),
    Number(size),
  )
}

function parse(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}

async function openDatabase(file: string): Promise<DatabaseClass.Database> {
  const Database = await load(file)
  return attempt(file, () => {
    const database = new Database(file, { readonly: true })
    const application = numberOf(database, 'application_id')
    const version = numberOf(database, 'user_version')
    const strange =
      application !== APPLICATION_ID || version !== VERSION
        ? `application_id ${String(application)}, version ${String(version)}`
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

/** Neither a view, which computes its rows, nor a virtual table, nor one with columns that are computed. */
function hasPlainTable(database: DatabaseClass.Database): boolean {
  const plain = database.prepare(
    `SELECT name FROM pragma_table_list WHERE schema = 'main' AND name = 'spans' AND type = 'table'
       AND NOT EXISTS (SELECT * FROM pragma_table_xinfo('spans') WHERE hidden <> 0)`,
  )
  return plain.all().length === 1
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
