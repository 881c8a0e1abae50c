import type { AuditedEntry } from '@kest/audit'
import { cellOf, tableLines } from '../terminal/cells.js'
import type { Colors } from '../terminal/colors.js'
import { timeText } from '../terminal/time-text.js'

const COLUMNS = ['Service', 'Operation', 'User', 'Time', 'Entry ID', 'Parent Hash', 'signature'] as const
const USER = COLUMNS.indexOf('User')

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
  const [head, rule, ...body] = tableLines(rows)
  return [head, rule, ...body.map((line, i) => marked(line, entries[i] as AuditedEntry, colors))]
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
