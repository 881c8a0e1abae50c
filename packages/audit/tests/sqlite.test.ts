import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MockIdentityProvider } from '@kest/core/testing'
import Database from 'libsql'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readSqlite } from '../src/index.js'
import { makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'

const PRINT = `
import { readSqlite } from '@kest/audit'
for await (const { spans } of readSqlite(process.argv[1])) console.log(spans.length)
`
/** Has the file alone for a moment, and says so. */
const HOLDER = `
import Database from 'libsql'
const database = new Database(process.argv[1])
database.exec('PRAGMA locking_mode = EXCLUSIVE')
database.exec('BEGIN EXCLUSIVE')
console.log('alone')
setTimeout(() => process.exit(0), 500)
`
const HERE = fileURLToPath(new URL('..', import.meta.url))

const TABLE = 'CREATE TABLE spans (id INTEGER PRIMARY KEY, otlp TEXT)'

/** A file of SQLite that says that it is one of `@kest/telemetry`. */
async function database(...statements: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-sqlite-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'spans.db')
  const one = new Database(file)
  one.exec(`PRAGMA application_id = ${0x4b455354}; PRAGMA user_version = 1`)
  for (const statement of statements) one.exec(statement)
  one.close()
  return file
}

function row(id: string): string {
  const made = makeEntry(new MockIdentityProvider('gateway').current(), [])
  return `INSERT INTO spans (id, otlp) VALUES (${id}, '${otlpLine('any', [spanOf(made)])}')`
}

/** Arguments of Node. */
function run(program: string, ...args: readonly string[]): string[] {
  return ['--input-type=module', '--eval', program, ...args]
}

async function linesOf(file: string): Promise<(number | null | undefined)[]> {
  const lines: (number | null | undefined)[] = []
  for await (const { spans, findings } of readSqlite(file)) {
    expect(findings).toEqual([])
    lines.push(...spans.map(({ place }) => place.line))
  }
  return lines
}

describe('an SQLite file', () => {
  it('K-AUDIT is read whole, whatever the ids of its rows are', async () => {
    const ids = ['-9223372036854775808', '-5', '0', '7', '9007199254740993', '9223372036854775807']
    const many = Array.from({ length: 150 }, (_, i) => String(1_000 + i))
    const file = await database(TABLE, ...[...ids, ...many].map(row))
    const lines = await linesOf(file)
    expect(lines).toHaveLength(156)
    expect(new Set(lines).size).toBe(156)
  })

  it('K-AUDIT is evidence, which is not changed by reading it, nor its log', async () => {
    const file = await database(TABLE)
    const writer = new Database(file)
    onTestFinished(() => void writer.close())
    writer.exec('PRAGMA journal_mode = WAL')
    writer.exec(row('1'))
    const copy = `${file} ?#%41.copy`
    const parts = ['', '-wal']
    await Promise.all(parts.map((part) => copyFile(file + part, copy + part)))
    const bytes = () => Promise.all(parts.map((part) => readFile(copy + part)))
    const before = await bytes()
    // SQLite moves the log into the file when the last one closes it, at the latest as the process ends.
    expect(String(execFileSync(process.execPath, run(PRINT, copy), { cwd: HERE }))).toBe('1\n')
    expect(await bytes()).toEqual(before)
  })

  it('K-AUDIT is waited for while somebody who closes it has it alone', async () => {
    const file = await database(TABLE, row('1'))
    const holder = spawn(process.execPath, run(HOLDER, file), {
      cwd: HERE,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(holder, 'close')
    await once(holder.stdout, 'data')
    expect(await linesOf(file)).toEqual([1])
    expect(await ended).toEqual([0, null])
  })

  it.each([
    {
      what: 'a view that has no end',
      statement:
        "CREATE VIEW spans AS WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c) SELECT id, 'x' AS otlp FROM c",
    },
    { what: 'a virtual table', statement: 'CREATE VIRTUAL TABLE spans USING fts5(id, otlp)' },
    {
      what: 'a column that is computed',
      statement: "CREATE TABLE spans (id INTEGER PRIMARY KEY, a TEXT, otlp TEXT AS (a LIKE '%a%a%a%a%b'))",
    },
    {
      what: 'a view that has no end, and a table that is named as what would say so,',
      statement: `CREATE TABLE pragma_table_list (schema, name, type); INSERT INTO pragma_table_list VALUES ('main', 'spans', 'table');
        CREATE VIEW spans AS WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c) SELECT id, 'x' AS otlp FROM c`,
    },
    { what: 'nothing', statement: 'CREATE TABLE others (id INTEGER PRIMARY KEY, otlp TEXT)' },
  ])('is refused where $what is in the place of its table', async ({ statement }) => {
    await expect(linesOf(await database(statement))).rejects.toMatchObject({
      code: 'ERR_KEST_EVIDENCE',
      message: expect.stringContaining('its spans are no plain table'),
    })
  })

  it('is refused where its rows have no ids, or not in their order', async () => {
    const loose = 'CREATE TABLE spans (id, otlp TEXT)'
    for (const ids of [['NULL'], ["'a'"], ['2', '1'], ['1', '1']]) {
      await expect(linesOf(await database(loose, ...ids.map(row)))).rejects.toMatchObject({
        code: 'ERR_KEST_EVIDENCE',
      })
    }
  })

  it('is refused where its texts are not UTF-8', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kest-sqlite-test-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'spans.db')
    const one = new Database(file)
    one.exec(
      `PRAGMA encoding = 'UTF-16le'; PRAGMA application_id = ${0x4b455354}; PRAGMA user_version = 1; ${TABLE}`,
    )
    one.close()
    await expect(linesOf(file)).rejects.toThrow('its texts are not UTF-8')
  })

  it('K-LIMIT loads nothing of a row that is larger than is read', async () => {
    const file = await database(TABLE)
    // In a process of its own, for what that takes is not to be counted here.
    const fill =
      'INSERT INTO spans VALUES (1, zeroblob(300000000)); UPDATE spans SET otlp = CAST(otlp AS TEXT)'
    const program = `import Database from 'libsql'; new Database(${JSON.stringify(file)}).exec(${JSON.stringify(fill)})`
    const cwd = fileURLToPath(new URL('..', import.meta.url))
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd })
    const before = process.resourceUsage().maxRSS
    const codes: string[] = []
    for await (const { findings } of readSqlite(file)) codes.push(...findings.map(({ code }) => code))
    expect(codes).toEqual(['limit'])
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(100_000)
  })

  it('says which rows hold no export', async () => {
    const rows = [
      "1, '[]'",
      '2, NULL',
      "3, x'7b7d'",
      "4, printf('%.*c', 2097153, 'x')",
      `5, '{"resourceSpans":[]}' || char(0) || 'x'`,
      `6, '{"resourceSpans":[],"resourceSpans":[]}'`,
      `7, '{"resourceSpans":[]}'`,
    ]
    const file = await database(TABLE, ...rows.map((values) => `INSERT INTO spans VALUES (${values})`))
    const found: unknown[] = []
    for await (const { findings } of readSqlite(file))
      found.push(...findings.map(({ code, place }) => [code, place?.slice(file.length)]))
    expect(found).toEqual([
      ['unreadable', ':1'],
      ['unreadable', ':2'],
      ['unreadable', ':3'],
      ['limit', ':4'],
      ['unreadable', ':5'],
      ['unreadable', ':6'],
    ])
  })
})
