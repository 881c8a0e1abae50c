/** What ends a line, moves a terminal's cursor, turns the direction of writing, or is not there to be seen. */
export const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Text of whatever origin as a part of one line: escaped, and no longer than `max` characters and an ellipsis. */
export function oneLine(text: string, max: number): string {
  const escaped = text.slice(0, max).replace(UNPRINTABLE, escapedOf)
  return text.length > max || escaped.length > max ? `${escaped.slice(0, max)}…` : escaped
}

function escapedOf(char: string): string {
  const hex = (char.codePointAt(0) as number).toString(16).padStart(4, '0')
  return hex.length === 4 ? `\\u${hex}` : `\\u{${hex}}`
}
