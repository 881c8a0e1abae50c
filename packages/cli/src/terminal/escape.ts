/**
 * What a terminal would not show as a character of its own: controls and escape sequences, bidirectional and other
 * invisible formatting, surrogates, private characters and those that are none, line separators, spaces other than the common one and
 * what looks like one, and marks that enclose or strike through what is before them.
 */
const UNSHOWABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\p{Me}]|[\u0334-\u0338\u20d2\u20d3\u20d8-\u20da\u20e5\u20e6\u20ea\u20eb]|(?! )\p{Zs}/gu
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

/** JSON on one line, with its end. */
export function jsonLine(value: unknown): string {
  return `${jsonText(value)}\n`
}

/** JSON in which what does not show is escaped as JSON escapes: the same value. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(UNSHOWABLE, (character) =>
    Array.from({ length: character.length }, (_, i) => escapedUnit(character, i)).join(''),
  )
}

function escapedUnit(character: string, i: number): string {
  return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
}
