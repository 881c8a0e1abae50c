import { KestConfigError, KestError } from '@kest/core'
import type DatabaseClass from 'libsql'
import { finding } from '../finding.js'
import { type Place, placeText } from '../span/exported-span.js'
import { readOtlpJson } from '../span/otlp-json.js'
import { faultBatch, type SpanBatch } from './batch.js'

/** "KEST": what `@kest/telemetry` writes into the header of its files. */
const APPLICATION_ID = 0x4b455354
const VERSION = 1
const PAGE_ROWS = 64
/** Characters of a row that are read; a span with a passport of the greatest size has fewer. */
const MAX_ROW = 2_097_152

interface Row {
  readonly id: number
  readonly size: number
  readonly otlp: string | null
}

/**
 * Spans in an SQLite file of `@kest/telemetry`, read-only, a page of rows at a time. Its columns are an index, and are not
 * believed: only the export that each row holds is read. Needs `libsql`, which is loaded when the first such file is read.
 *
 * @throws {KestError} `ERR_KEST_CONFIG` when `libsql` is not installed; `ERR_KEST_EVIDENCE` when the file is not one of
 *   `@kest/telemetry`, or is damaged
 */
export async function* readSqlite(file: string): AsyncGenerator<SpanBatch> {
  const database = await openDatabase(file)
  try {
    const select = database.prepare(
      'SELECT id, length(otlp) AS size, CASE WHEN length(otlp) <= ? THEN otlp END AS otlp FROM spans WHERE id > ? ORDER BY id LIMIT ?',
    )
    let last = 0
    for (;;) {
      const rows = attempt(file, () => select.all(MAX_ROW, last, PAGE_ROWS)) as Row[]
      for (const row of rows) yield batchOf(row, { file, line: row.id })
      const end = rows.at(-1)
      if (end === undefined) return
      last = end.id
    }
  } finally {
    database.close()
  }
}

function batchOf({ otlp, size }: Row, place: Place): SpanBatch {
  if (otlp === null) {
    return faultBatch(
      finding('limit', `a row of ${size} characters, which is more than is read`, {
        place: placeText(place),
      }),
    )
  }
  const read = readOtlpJson(parse(otlp), { place, receivedAt: null })
  if (read !== undefined) return { ...read, findings: [], bytes: otlp.length }
  return faultBatch(
    finding('unreadable', 'it is not an export of OTLP/JSON', { place: placeText(place) }),
    otlp.length,
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
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
    if (application === APPLICATION_ID && version === VERSION) return database
    database.close()
    throw new KestError(
      'ERR_KEST_EVIDENCE',
      `${file}: it is an SQLite file, but not one of @kest/telemetry (application_id ${String(application)}, version ${String(version)})`,
    )
  })
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
