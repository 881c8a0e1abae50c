import { type LEVELS, levelOf } from '../../graph/graph-node.js'
import type { NameCount, Range } from '../tally/counts.js'
import { isolated, number } from './text.js'

/** Where nobody is known. */
export function nobody(): string {
  return '<span class="dim">not known</span>'
}

/** The first names, and how many there are beside. */
export function namesText(count: NameCount, most: number, of: (name: string) => string = isolated): string {
  const { names, others } = count
  const shown = names
    .slice(0, most)
    .map(([name, times]) => `${of(name)} <span class="dim">${number(times)}</span>`)
  const more = names.length - shown.length
  if (more > 0 || others > 0) shown.push(`<span class="dim">and more</span>`)
  return shown.join('<br>')
}

/** Effective trust, from the least to the most, by colour and in figures. */
export function trustText(range: Range): string {
  if (range.isEmpty) return '<span class="level unproven">not proven</span>'
  const text = range.least === range.most ? String(range.least) : `${range.least}–${range.most}`
  return `<span class="level ${levelOfTrust(range)}">${text}</span>`
}

export function levelOfTrust(range: Range): keyof typeof LEVELS | 'unproven' {
  return range.isEmpty ? 'unproven' : levelOf({ status: 'verified', trust: range.least })
}
