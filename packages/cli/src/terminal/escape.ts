/**
 * What a terminal would not show as a character of its own: controls and escape sequences, bidirectional and other
 * invisible formatting, surrogates, private characters and those that are none, line separators, and spaces other than the common one.
 */
const UNSHOWABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu
/** An item that could be taken for several, or for none. */
const AMBIGUOUS = /^$|[\s,"]/

/** Text of strangers, safe on a terminal: what does not show is written `\u{…}` (K-AUDIT). */
export function visible(text: string): string {
  return text.replace(UNSHOWABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

/** Items with commas between them; those that hold commas, quotes or spaces are quoted. */
export function visibleList(items: readonly string[]): string {
  return items.map((item) => visible(AMBIGUOUS.test(item) ? JSON.stringify(item) : item)).join(', ')
}

/** JSON on one line, in which what does not show is escaped as JSON escapes: the same value. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value).replace(UNSHOWABLE, (character) =>
    Array.from({ length: character.length }, (_, i) => escapedUnit(character, i)).join(''),
  )
  return `${text}\n`
}

function escapedUnit(character: string, i: number): string {
  return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
}
