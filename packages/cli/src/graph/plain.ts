import { visible, visibleList } from '../terminal/escape.js'

/** More marks on one letter than a language puts there: they would cover what is above, or break no line. */
const STACKED = /(?<=\p{M}{4})\p{M}/gu

/** Text of strangers for a picture: what does not show, and marks that pile up on a letter, are written `\u{…}`. */
export function plain(text: string): string {
  return unstacked(visible(text))
}

export function plainList(items: readonly string[]): string {
  return unstacked(visibleList(items))
}

/** Of a text that is visible already. */
export function unstacked(text: string): string {
  return text.replace(STACKED, (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`)
}
