import type { Verdict } from '@kest/audit'

/** Of evidence without keys of the reader's own (K-ANCHOR). */
export const CONSISTENT = 'consistent with its own keys'
export const BROKEN = 'broken'
const EMPTY = 'no entry, no proof'

/** A verdict as a picture says it. */
export function verdictWord(verdict: Verdict): string {
  return verdict === 'empty' ? EMPTY : verdict
}

/** `good`: all is proven. `poor`: something is wrong. `fair`: neither. */
export type Tone = 'good' | 'fair' | 'poor'

const MEANINGS: ReadonlyMap<string, readonly [Tone, string]> = new Map([
  [
    'verified',
    ['good', 'Every entry holds by the keys that were given, and none is missing that another one names.'],
  ],
  ['incomplete', ['fair', 'What is here holds, and something is missing that it names.']],
  [BROKEN, ['poor', 'Something does not hold, or cannot be proven.']],
  [EMPTY, ['fair', 'There is no entry, and so no proof of anything.']],
  [
    CONSISTENT,
    [
      'fair',
      'Every entry holds by keys that the file brought along. Whoever made the file can have made them: judge it by keys of your own (--trust).',
    ],
  ],
])

/** The verdict in a word, what it means, and how good it is; of a broken one, what is wrong. */
export function meaningOf(verdict: string): {
  readonly word: string
  readonly tone: Tone
  readonly meaning: string
} {
  const known = MEANINGS.get(verdict)
  if (known !== undefined) return { word: verdict, tone: known[0], meaning: known[1] }
  const [word, reason] = verdict.startsWith(`${BROKEN}: `)
    ? [BROKEN, verdict.slice(BROKEN.length + 2)]
    : [verdict, '']
  return { word, tone: 'poor', meaning: reason }
}
