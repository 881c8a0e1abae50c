import { type KestEntry, LABEL } from '../entry/entry.js'

/** How an operation has ended (K-OUTCOME). */
export type Outcome = 'succeeded' | 'failed' | 'aborted'

const OUTCOMES: ReadonlySet<string> = new Set<Outcome>(['succeeded', 'failed', 'aborted'])

/** What the name of an outcome's operation ends in: no operation's own does. */
export const OUTCOME_SUFFIX = '#end'

/** Whether an entry says how another operation has ended, and is none itself; whether that one is its parent is another question. */
export function isOutcome({ operation, labels }: KestEntry): boolean {
  return operation.endsWith(OUTCOME_SUFFIX) && OUTCOMES.has(labels[LABEL.outcome] ?? '')
}

/**
 * Whether `entry` is the outcome of the operation that `of` is the entry of (K-OUTCOME): by the same principal, with that as its
 * one parent, with no policy asked, and nothing raised or removed. What calls itself an outcome and is not one is an operation as
 * any other.
 */
export function isOutcomeOf(
  entry: KestEntry,
  of: { readonly entry: KestEntry; readonly hash: string },
): boolean {
  const { policy_context: asked, labels } = entry
  return (
    isOutcome(entry) &&
    entry.operation === of.entry.operation + OUTCOME_SUFFIX &&
    labels[LABEL.principal] === of.entry.labels[LABEL.principal] &&
    entry.parent_ids.length === 1 &&
    entry.parent_ids[0] === of.hash &&
    Object.values(asked).every((policies) => policies.length === 0) &&
    entry.added_taints.length === 0 &&
    entry.removed_taints.length === 0 &&
    entry.trust_score <= of.entry.trust_score &&
    labels[LABEL.trustOverride] === undefined &&
    labels[LABEL.sanitizer] === undefined &&
    labels[LABEL.identity] === undefined
  )
}
