import { mkdirSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { KestConfigError, type Logger } from '@kest/core'
import type { ReadableSpan } from '../../spans/readable-span.js'
import { type Destination, serialized, unwritable } from '../destination.js'
import type { FsyncPolicy } from '../fsync-policy.js'
import { LaterSync } from '../later-sync.js'
import { UnderWay } from '../under-way.js'
import { rowOf } from './row.js'
import { APPLICATION_ID, COLUMNS, SCHEMA, SCHEMA_VERSION } from './schema.js'

/** How long one process waits while another writes, milliseconds. */
const BUSY_MS = 5_000
/** How long to wait before asking again what SQLite does not wait for. */
const RETRY_MS = 10

const INSERT = `INSERT INTO spans (${COLUMNS.join(', ')}) SELECT ${COLUMNS.map((_, n) => `value ->> ${n}`).join(', ')} FROM json_each`

/** How a {@link SqliteDestination} writes. */
export interface SqliteOptions {
  readonly file: string
  /** When a batch is forced to the disk: before it counts as exported, within a second, or when the system likes. */
  readonly fsync: FsyncPolicy
  readonly logger: Logger
}

/** How SQLite calls that. In WAL mode, NORMAL forces to the disk what is moved from the log into the file. */
const SYNCHRONOUS: Readonly<Record<FsyncPolicy, string>> = {
  always: 'FULL',
  interval: 'NORMAL',
  never: 'OFF',
}

/** What is used of libsql: its database that works in a thread of its own … */
interface AsyncDatabase {
  exec(sql: string): Promise<void>
  close(): void
}

/** … and the one that works here and now. */
interface SyncDatabase {
  exec(sql: string): void
  prepare(sql: string): { get(): Readonly<Record<string, unknown>> }
  close(): void
}

type Opens<Database> = new (file: string, options: { readonly timeout: number }) => Database

/** One SQLite file in WAL mode, which several processes may write. Work and waiting are done in a thread of libsql's. */
export class SqliteDestination implements Destination {
  readonly name: string
  readonly #file: string
  readonly #fsync: FsyncPolicy
  readonly #logger: Logger
  readonly #laterSync: LaterSync
  #opened: Opened
  #ready: Promise<void> | null = null
  readonly #writing = new UnderWay()

  /** @throws {KestConfigError} without libsql, and for a file that cannot be written or is somebody else's */
  constructor(options: SqliteOptions) {
    const file = resolve(options.file)
    this.#opened = openFile(file)
    this.#file = file
    this.#fsync = options.fsync
    this.#logger = options.logger
    // Moves what it can from the log into the file, and waits for nobody who reads or writes.
    const checkpoint = () => this.#execute('PRAGMA wal_checkpoint(PASSIVE)')
    this.#laterSync = new LaterSync(checkpoint, { file, logger: options.logger })
    this.name = `SQLite ${file}`
  }

  write(spans: readonly ReadableSpan[]): Promise<void> {
    return this.#writing.begin(this.#write(spans))
  }

  async close(): Promise<void> {
    await this.#writing.ended()
    await this.#laterSync.cancel()
    this.#opened.database.close()
  }

  async #write(spans: readonly ReadableSpan[]): Promise<void> {
    if (await this.#isGone()) this.#reopen()
    this.#ready ??= this.#execute(`PRAGMA synchronous = ${SYNCHRONOUS[this.#fsync]}`)
    await this.#ready
    const now = Date.now()
    // One statement, hence all or nothing. In SQL a string ends at a quote that is not doubled, and JSON has no NUL.
    const insert = serialized(() => {
      const rows = JSON.stringify(spans.map((span) => rowOf(span, now)))
      return `${INSERT}('${rows.replaceAll("'", "''")}')`
    })
    await this.#insert(insert)
    if (await this.#isGone()) throw new Error(`${this.#file} was deleted meanwhile`)
    if (this.#fsync === 'interval') this.#laterSync.request()
  }

  async #insert(sql: string): Promise<void> {
    try {
      await this.#execute(sql)
    } catch (error) {
      throw (error as { code?: unknown }).code === 'SQLITE_TOOBIG' ? unwritable(error) : error
    }
  }

  #execute(sql: string): Promise<void> {
    return this.#opened.database.exec(sql)
  }

  /** A deleted file takes all that is written, and nobody will ever read it. */
  async #isGone(): Promise<boolean> {
    const now = await stat(this.#file, { bigint: true }).catch(() => null)
    return now?.ino !== this.#opened.ino || now.dev !== this.#opened.dev
  }

  #reopen(): void {
    const gone = this.#opened
    this.#opened = openFile(this.#file)
    this.#ready = null
    gone.database.close()
    this.#logger.error(
      { file: this.#file },
      'audit file was deleted, and what it held is lost; another is written',
    )
  }
}

/** A database, and which file it was that was opened: another one may get its name. */
interface Opened {
  readonly database: AsyncDatabase
  readonly dev: bigint
  readonly ino: bigint
}

/** @throws {KestConfigError} without libsql, and for a file that cannot be written or is somebody else's */
function openFile(file: string): Opened {
  // In a bundle of CommonJS there is no URL of the module.
  const require = createRequire(typeof __filename === 'string' ? __filename : import.meta.url)
  const Database = load<SyncDatabase>(require, 'libsql')
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    prepareFile(new Database(file, { timeout: BUSY_MS }))
    const { dev, ino } = statSync(file, { bigint: true })
    const database = new (load<AsyncDatabase>(require, 'libsql/promise'))(file, { timeout: BUSY_MS })
    return { database, dev, ino }
  } catch (cause) {
    if (cause instanceof KestConfigError) throw cause
    throw new KestConfigError(`endpoint: ${file} cannot be used as a SQLite file`, { cause })
  }
}

function load<Database>(require: NodeJS.Require, name: string): Opens<Database> {
  try {
    return require(name) as Opens<Database>
  } catch (cause) {
    throw new KestConfigError(`exporter 'sqlite' needs the package libsql: npm install libsql`, { cause })
  }
}

/** Makes the table, in one transaction, unless it is there. */
function prepareFile(database: SyncDatabase): void {
  try {
    useWriteAheadLog(database)
    database.exec('BEGIN IMMEDIATE')
    const application = numberOf(database, 'application_id')
    const version = numberOf(database, 'user_version')
    const tables = Number(database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()['n'])
    if (tables === 0) database.exec(SCHEMA)
    else if (application !== APPLICATION_ID || version !== SCHEMA_VERSION) {
      throw new KestConfigError(
        `endpoint: the SQLite file is not an audit trail of version ${SCHEMA_VERSION}: application_id ${application}, user_version ${version}`,
      )
    }
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}

/** SQLite does not wait here for another process that does the same, whatever its time-out: so we do. */
function useWriteAheadLog(database: SyncDatabase): void {
  const end = performance.now() + BUSY_MS
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'SQLITE_BUSY' || performance.now() >= end) throw error
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
  }
}

function numberOf(database: SyncDatabase, pragma: string): number {
  return Number(database.prepare(`PRAGMA ${pragma}`).get()[pragma])
}
