import type { AuditedEntry } from '@kest/audit'
import type { Colors } from '../terminal/colors.js'
import { visible } from '../terminal/escape.js'

const COLUMNS = ['Service', 'Entry ID', 'Parent Hash', 'signature'] as const
/** Characters of a service, or principal, that are shown. */
const MAX_SERVICE = 64

const MARKS = {
  verified: '',
  signed: ' ? what it builds on is not proven',
  failed: ' ✗ does not hold',
} as const

/**
 * The entries of a trace as a table: what their signatures cover, and whether those hold. Of several trust domains,
 * principals are whole.
 */
export function auditTable(entries: readonly AuditedEntry[], colors: Colors): string[] {
  const several =
    new Set(entries.map(({ principal, service }) => principal.slice(0, -service.length))).size > 1
  const rows = [COLUMNS, ...entries.map((entry) => rowOf(entry, several ? entry.principal : entry.service))]
  const widths = COLUMNS.map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0),
  )
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '))
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-')
  const [head, ...body] = lines as [string, ...string[]]
  return [head.trimEnd(), rule, ...body.map((line, i) => marked(line, entries[i] as AuditedEntry, colors))]
}

function rowOf({ entry, jws }: AuditedEntry, signer: string): readonly string[] {
  const name = visible(signer)
  return [
    name.length > MAX_SERVICE ? `${name.slice(0, MAX_SERVICE - 1)}…` : name,
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
