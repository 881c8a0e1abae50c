import { bounded } from '../../bounded.js'
import { plain } from '../../graph/plain.js'
import { escapeXml } from '../../graph/xml.js'

const MAX_TEXT = 240
/** Characters of a name that stays whole in a column. */
const MAX_WHOLE = 28

/** Text of strangers, for content and for quoted attributes: bounded, nothing in it hides or becomes markup. */
export function safe(text: string, most: number = MAX_TEXT): string {
  return escapeXml(plain(bounded(text, most)) + (text.length > most ? '…' : ''))
}

/** The same, apart from the direction of what stands around it. */
export function isolated(text: string, most?: number): string {
  return `<bdi${text.length > MAX_WHOLE ? ' class="long"' : ''}>${safe(text, most)}</bdi>`
}

/** A word that machines say, such as a code, as strangers may have written it. */
export function codeText(text: string): string {
  return `<code>${isolated(text)}</code>`
}

/** A count as people read it. */
export function number(value: number): string {
  return value.toLocaleString('en')
}

/** "1 trace", "1,200 traces". */
export function counted(value: number, what: string, several: string = `${what}s`): string {
  return `${number(value)} ${value === 1 ? what : several}`
}

/** Nothing is said to be all, or none, that is not. */
export function share(part: number, all: number): string {
  if (all === 0 || part === 0) return '0 %'
  if (part === all) return '100 %'
  const percent = (part / all) * 100
  if (percent < 0.1) return '< 0.1 %'
  return percent > 99.9 ? '> 99.9 %' : `${percent.toFixed(percent < 10 || percent > 99 ? 1 : 0)} %`
}
