import type { AuditedEntry } from '@kest/audit'
import { bounded } from '../bounded.js'
import type { Colors } from '../terminal/colors.js'
import { columnsOf, padColumns } from '../terminal/columns.js'
import { visible } from '../terminal/escape.js'
import { timeText } from '../terminal/time-text.js'

const COLUMNS = ['Service', 'Operation', 'User', 'Time', 'Entry ID', 'Parent Hash', 'signature'] as const
const USER = COLUMNS.indexOf('User')
/** Characters of a service, or principal, of an operation and of a user that are shown. */
const MAX_TEXT = 64

/** What is between cells, and what looks like it. */
const BARS = /[|\u01c0\u2223\u23d0\u23fd\u2502\u2503\u2758\uff5c\uffe8]/g

const MARKS = {
  verified: '',
  signed: ' ? what it builds on is not proven',
  failed: ' ✗ does not hold',
} as const

/**
 * The entries of a trace as a table: what their signatures cover, and whether those hold. Of several trust domains,
 * principals are whole. Users are those of verified lineage, and have a column where there is one; times are the signers' word.
 */
export function auditTable(entries: readonly AuditedEntry[], colors: Colors): string[] {
  const several =
    new Set(entries.map(({ principal, service }) => principal.slice(0, -service.length))).size > 1
  const all = entries.map((entry) => rowOf(entry, several ? entry.principal : entry.service))
  const hasUser = all.some((row) => row[USER] !== '')
  const rows = [COLUMNS, ...all].map((row) => row.filter((_, column) => hasUser || column !== USER))
  const widths = (rows[0] as string[]).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, columnsOf(row[column] ?? '')), 0),
  )
  const lines = rows.map((row) =>
    row.map((cell, column) => padColumns(cell, widths[column] ?? 0)).join(' | '),
  )
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-')
  const [head, ...body] = lines as [string, ...string[]]
  return [head.trimEnd(), rule, ...body.map((line, i) => marked(line, entries[i] as AuditedEntry, colors))]
}

function rowOf({ entry, jws, identity, timestampMs }: AuditedEntry, signer: string): readonly string[] {
  return [
    cellOf(signer),
    cellOf(entry.operation),
    cellOf(identity?.user ?? ''),
    timeText(timestampMs),
    entry.entry_id,
    entry.parent_ids.map(shorten).join(' '),
    shorten(jws.slice(jws.lastIndexOf('.') + 1)),
  ]
}

/** Strangers write it, as long as they like, and perhaps as if it were several cells. */
function cellOf(text: string): string {
  const name = visible(text).replace(BARS, (bar) => `\\u{${bar.charCodeAt(0).toString(16)}}`)
  return name.length > MAX_TEXT ? `${bounded(name, MAX_TEXT - 1)}…` : name
}

function marked(line: string, { status, source }: AuditedEntry, colors: Colors): string {
  const mark = MARKS[status]
  if (mark !== '') return (status === 'failed' ? colors.red : colors.yellow)(`${line}${mark}`)
  return source === 'span' ? line.trimEnd() : colors.dim(`${line} (${SOURCES[source]})`)
}

const SOURCES = { passport: 'from a passport', foreign: 'of another trace' } as const

/** Beginning and end of what is too long for a terminal. */
function shorten(text: string): string {
  return text.length <= 13 ? text : `${text.slice(0, 8)}…${text.slice(-4)}`
}
