import { LABEL } from '../entry/entry.js'
import type { Question } from '../policy/ask.js'
import { contextDigest } from '../policy/context-text.js'
import type { IgnorableField } from '../policy/decision-key.js'
import type { AskedRevisions } from '../policy/revision.js'
import type { EntryDraft } from './draft.js'

const NOTHING: ReadonlySet<IgnorableField> = new Set()

/**
 * What an entry says of how it was decided: by which texts (K-REVISION), and what they were asked (K-CONTEXT). Written after the last
 * answer, so that no policy sees any of it.
 *
 * @param questions all that was asked, what is only observed among it
 * @param withContext whether a digest of the context may be written: somebody who has a pseudonym could be guessed by it (K-PSEUDONYM)
 */
export function labelDecision(
  { labels }: EntryDraft,
  questions: readonly Question[],
  revisions: AskedRevisions,
  withContext: boolean,
): void {
  const text = revisions.text()
  if (text !== undefined) labels[LABEL.revisions] = text
  const context = questions[0]?.request.context
  if (!withContext || context === undefined) return
  labels[LABEL.source] = context.environment.source_type
  const withheld = withheldOf(questions)
  if (withheld === null) return
  labels[LABEL.context] = contextDigest(context, withheld, labels[LABEL.resource])
}

/** What no engine was shown; `null` where they were shown different parts, so that there is no one context that was asked. */
function withheldOf(questions: readonly Question[]): ReadonlySet<IgnorableField> | null {
  let first: readonly IgnorableField[] | undefined
  for (const { engine } of questions) {
    const { withholds = NONE } = engine
    if (first === undefined) first = withholds
    else if (first !== withholds && !areSame(first, withholds)) return null
  }
  return first === undefined || first.length === 0 ? NOTHING : new Set(first)
}

const NONE: readonly IgnorableField[] = Object.freeze([])

function areSame(one: readonly IgnorableField[], other: readonly IgnorableField[]): boolean {
  return one.length === other.length && one.every((field) => other.includes(field))
}
