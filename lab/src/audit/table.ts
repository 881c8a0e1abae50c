import type { AuditedEntry } from '@kest/audit'

const COLUMNS = ['Service', 'Entry ID', 'Parent Hash', 'signature'] as const

/** The audit table of one request, its columns aligned. */
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

/** The same for machines, nothing shortened. */
export function auditRows(entries: readonly AuditedEntry[]): readonly Readonly<Record<string, unknown>>[] {
  return entries.map(({ service, entry, jws }) => ({
    service,
    entry_id: entry.entry_id,
    parent_hash: entry.parent_ids,
    signature: signatureOf(jws),
  }))
}

function toRow({ service, entry, jws }: AuditedEntry): readonly string[] {
  return [service, entry.entry_id, entry.parent_ids.map(shorten).join(' '), shorten(signatureOf(jws))]
}

function signatureOf(jws: string): string {
  return jws.slice(jws.lastIndexOf('.') + 1)
}

/** Beginning and end of what is too long for a terminal. */
function shorten(text: string): string {
  return text.length <= 13 ? text : `${text.slice(0, 8)}…${text.slice(-4)}`
}
