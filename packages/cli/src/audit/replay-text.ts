import type { ReplaySummary, Unverifiable } from '@kest/audit'
import type { Colors } from '../terminal/colors.js'

const WHY: Readonly<Record<Unverifiable, string>> = {
  'not-verified': 'what they build on is not proven',
  'no-context': 'they have no digest of what was asked',
  'context-differs':
    'what follows from entry and lineage is not what was asked: raisers, ceilings, lists or withheld parts are others',
  'no-revision': 'they do not say which text decided',
  'several-texts': 'several texts decided together',
  'text-not-given': 'the text that decided is not given',
  'name-repeated': 'different texts have that name, and decide differently',
  'not-determined': 'the policies depend on the clock, or on something else outside of them, or fail',
}

/** What became of the decisions that were asked again. */
export function replayText(summary: ReplaySummary, colors: Colors): string {
  const { match, matchByName, mismatch, unverifiable } = summary
  const unknown = [...unverifiable.values()].reduce((sum, count) => sum + count, 0)
  const wrong = `${mismatch} mismatch`
  const lines = [
    `decided again: ${match} match, ${matchByName} match by name, ${mismatch > 0 ? colors.red(wrong) : wrong}, ${unknown} unverifiable`,
    ...[...unverifiable].map(([why, count]) => `  ${String(count).padStart(7)}  ${WHY[why]}`),
  ]
  return `${lines.join('\n')}\n`
}

export function replayJson({ match, matchByName, mismatch, unverifiable }: ReplaySummary): object {
  return { match, match_by_name: matchByName, mismatch, unverifiable: Object.fromEntries(unverifiable) }
}
