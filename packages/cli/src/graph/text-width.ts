import { bounded } from '../bounded.js'

/** Widths in parts of the size of a font, rather too wide than too narrow: whose font it will be is not known. */
const WIDTHS: readonly (readonly [RegExp, number])[] = [
  [/^[ijlIftr.,:;'|!()[\]/ ]$/, 0.4],
  [/^[MW@%mw]$/, 0.95],
  [/^[A-Z]$/, 0.72],
  [/^[\u0020-\u007e\u00a1-\u024f\u0370-\u05ff\u1e00-\u1fff]/, 0.62],
]
/** Of all other scripts the widest, beside whole lines in one character. */
const WIDE = 1.1

const segments = new Intl.Segmenter('en', { granularity: 'grapheme' })
/** Characters that are looked at: one line has room for no more. */
const MAX_LENGTH = 400

/** About as wide as a text is in a font of that size. */
export function widthOf(text: string, size: number): number {
  return [...segments.segment(text)].reduce((sum, { segment }) => sum + widthOfOne(segment) * size, 0)
}

function widthOfOne(segment: string): number {
  return WIDTHS.find(([some]) => some.test(segment))?.[1] ?? WIDE
}

/** As much of a text as fits, of a path its end. The whole text is among the details. */
export function fitted(text: string, size: number, width: number): string {
  const calm = bounded(text, MAX_LENGTH)
  if (text.length <= MAX_LENGTH && widthOf(calm, size) <= width) return calm
  const characters = [...segments.segment(calm)].map(({ segment }) => segment)
  const fromEnd = text.length <= MAX_LENGTH && text.includes('/')
  const kept: string[] = []
  let room = width - size
  for (const one of fromEnd ? characters.toReversed() : characters) {
    room -= widthOfOne(one) * size
    if (room < 0) break
    kept.push(one)
  }
  return fromEnd ? `…${kept.reverse().join('')}` : `${kept.join('')}…`
}
