import type { AuditedEntry } from '@kest/audit'

const COLUMNS = ['Service', 'Entry ID', 'Parent Hash', 'signature'] as const

/** The audit table, its columns aligned. */
export function auditTable(entries: readonly AuditedEntry[]): string {
  const rows = [COLUMNS, ...entries.map(toRow)]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join(' | ')
      .trimEnd(),
  )
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-')
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

function toRow({ service, jws, entry }: AuditedEntry): readonly string[] {
  return [
    service,
    entry.entry_id,
    entry.parent_ids.map(shorten).join(' '),
    shorten(jws.slice(jws.lastIndexOf('.') + 1)),
  ]
}

/** Beginning and end of what is too long for a terminal. */
function shorten(text: string): string {
  return text.length <= 13 ? text : `${text.slice(0, 8)}…${text.slice(-4)}`
}
