/** Characters of a reason that are kept: enough to say why, too few to fill a log. */
const MAX_REASON_LENGTH = 1_024
/** What is left of a character that was cut in two. */
const HALF = /\p{Surrogate}$/u

/** An engine's words, if there are any, of a bounded length. */
export function toReason(words: unknown): string | undefined {
  if (typeof words !== 'string' || words === '') return undefined
  if (words.length <= MAX_REASON_LENGTH) return words
  return `${words.slice(0, MAX_REASON_LENGTH - 1).replace(HALF, '')}…`
}

/** Why several allowed. */
export function joinReasons(first: string | undefined, second: string | undefined): string | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return `${first}; ${second}`
}
