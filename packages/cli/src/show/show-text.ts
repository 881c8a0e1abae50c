import { KestError } from '@kest/core'
import type { Colors } from '../terminal/colors.js'
import { visible } from '../terminal/escape.js'
import { formatFields } from '../terminal/fields.js'
import { entryFields } from './entry-fields.js'
import { drawGraph, type GraphRow } from './graph.js'
import { shortHash } from './short-hash.js'
import type { ShownEntry } from './shown-entry.js'

/** Lanes side by side up to which the graph is drawn; beyond, parents are only named. */
const MAX_LANES = 16
const NO_DRAWING: GraphRow = { joint: null, left: '', right: '', below: ' ' }

/** A passport for a terminal: an entry after the other, oldest first, beside a drawing of how they follow each other. */
export function showText(entries: readonly ShownEntry[], colors: Colors): string {
  const rows = drawing(entries)
  const count = entries.length === 1 ? '1 entry' : `${entries.length} entries`
  const warning = colors.bold(colors.yellow('not verified'))
  const head = `${count}, ${warning}: this is what the file says; kest verify checks it\n`
  const blocks = entries.map((entry, i) => entryBlock(entry, rows?.[i] ?? NO_DRAWING, colors))
  return `${head}\n${blocks.join('')}`
}

function drawing(entries: readonly ShownEntry[]): readonly GraphRow[] | null {
  const rows = drawGraph(
    entries.map(({ index, parents }) =>
      parents.flatMap((parent) => (parent.index !== null && parent.index < index ? [parent.index] : [])),
    ),
  )
  const widest = Math.max(0, ...rows.map(({ left, right }) => left.length + 1 + right.length))
  return widest > 2 * MAX_LANES ? null : rows
}

function entryBlock(shown: ShownEntry, row: GraphRow, colors: Colors): string {
  const { content, hash, tip } = shown
  const unreadable = content instanceof KestError
  const mark = unreadable ? colors.red('✗') : colors.green('●')
  const title = unreadable ? colors.red('cannot be read') : colors.bold(visible(content.entry.operation))
  const role = [...(isRoot(shown) ? ['root'] : []), ...(tip ? ['tip'] : [])]
  const roles = role.length === 0 ? '' : ` ${colors.cyan(`(${role.join(', ')})`)}`
  const fields = unreadable
    ? formatFields([['fault', visible(content.message), content.code]], colors)
    : formatFields(entryFields(shown, content), colors)
  return [
    ...(row.joint === null ? [] : [row.joint]),
    `${row.left}${mark}${row.right} ${colors.yellow(shortHash(hash))} ${title}${roles}`,
    ...fields.map((line) => `${row.below}   ${line}`),
    row.below,
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

function isRoot({ content, parents }: ShownEntry): boolean {
  return !(content instanceof KestError) && parents.length === 0
}
