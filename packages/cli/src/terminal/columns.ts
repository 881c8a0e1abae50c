/** Scripts of which terminals give each character two columns, and emoji; of some there are narrow forms. */
const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|(?![\uff61-\uffdc])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u
/** Text of which each character has one column. */
const NARROW = /^[\u0020-\u007e\u00a1-\u02ff…]*$/

const segments = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** About how many columns of a terminal a text takes that is safe to show. */
export function columnsOf(text: string): number {
  if (NARROW.test(text)) return text.length
  return [...segments.segment(text)].reduce((sum, { segment }) => sum + (WIDE.test(segment) ? 2 : 1), 0)
}

/** With spaces behind it, so that it takes as many columns. */
export function padColumns(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)))
}
