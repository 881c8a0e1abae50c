import { isUnfinished } from '../span/parse-json.js'
import { TooManyParts } from '../span/parts.js'

/**
 * What the Collector begins each line with. Within a text of JSON it cannot be: there its quotes are escaped. So wherever it is in a
 * line, a writer began, and nobody who chooses a value can make it seem so.
 */
const BEGINNING = '{"resourceSpans":['
/** Pieces of one line that are looked at. */
const MAX_PIECES = 10_000
/** An entry, or a list of entries, as far as it goes. */
const ENTRIES = /^(?:ey[\w.-]*|\[\s*"(?:ey[\w.", -]*)?)$/
/** Bytes of such: no passport is larger. */
const MAX_ENTRIES = 2_097_152

/**
 * The pieces of a line that is no JSON, each of which somebody began to write: a Collector that was killed, or whose disk was full, leaves
 * half a line, and what it writes next stands behind it, on the same.
 *
 * @returns `null` for more than are looked at
 */
export function piecesOf(line: Buffer): readonly Buffer[] | null {
  const pieces: Buffer[] = []
  let start = 0
  for (;;) {
    const next = line.indexOf(BEGINNING, start + 1)
    const piece = line.subarray(start, next === -1 ? line.length : next)
    if (piece.length > 0) pieces.push(piece)
    if (next === -1) return pieces
    if (pieces.length === MAX_PIECES) return null
    start = next
  }
}

/** Whether it is the beginning of what is written here, and no more: its writer did not come to the end. */
export function isTorn(piece: Buffer): boolean {
  const text = piece.toString('latin1', 0, BEGINNING.length)
  if (!BEGINNING.startsWith(text) && text !== BEGINNING)
    return piece.length <= MAX_ENTRIES && ENTRIES.test(piece.toString('latin1'))
  try {
    return isUnfinished(piece)
  } catch (error) {
    if (error instanceof TooManyParts) return false
    throw error
  }
}
