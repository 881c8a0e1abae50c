import type { PolicyRevision, PolicyTier, ReplayedDecision, ReplayText } from '@kest/core'
import type { RecordedTier } from './recorded-policies.js'
import type { AskedContext } from './recorded-questions.js'

/** What a text says to what a tier has decided. */
export type Again =
  | { readonly outcome: 'same' }
  | { readonly outcome: 'other'; readonly policy: string; readonly message: string }
  | { readonly outcome: 'unknown'; readonly message: string }

const SAME: Again = Object.freeze({ outcome: 'same' })
/** Policies of a tier whose questions are told apart: each list of them is tried. */
const MAX_TOGETHER = 8

/** Whether a text decides again as a tier has decided. */
export function decideAgain(
  text: ReplayText,
  by: PolicyRevision,
  recorded: RecordedTier,
  entryId: string,
  asked: AskedContext,
): Again {
  const { tier, allowed, denied } = recorded
  const ask = (policies: readonly string[], names: readonly string[] = policies): ReplayedDecision =>
    text.replay({ entryId, policies, context: asked(tier, names) }, by)
  try {
    if (allowed.length > 0) {
      const decision = ask(allowed)
      const known = verdictOn(decision)
      if (known !== SAME) return known
      if (!decision.allow) {
        const other = deniedBy(allowed, tier, ask)
        if (other !== SAME) return other
      }
    }
    for (const policy of denied) {
      const decision = ask([policy])
      const known = verdictOn(decision)
      if (known !== SAME) return known
      if (decision.allow)
        return {
          outcome: 'other',
          policy,
          message: `${tier}: ${policy} was recorded as a denial, and allows`,
        }
    }
    return SAME
  } catch (error) {
    return { outcome: 'unknown', message: `it fails: ${(error as Error).message}` }
  }
}

function verdictOn({ outside }: ReplayedDecision): Again {
  if (outside.length === 0) return SAME
  return { outcome: 'unknown', message: `it depends on ${[...new Set(outside)].join(', ')}` }
}

/**
 * Which of them denies. What was only observed was asked by itself, and entries do not say what that was (K-OBSERVE): a policy that looks
 * at `policy_names` may have seen any of these lists. Where one of them allows, nobody knows.
 */
function deniedBy(
  policies: readonly string[],
  tier: PolicyTier,
  ask: (policies: readonly string[], names: readonly string[]) => ReplayedDecision,
): Again {
  if (policies.length > MAX_TOGETHER) return { outcome: 'unknown', message: `too many policies of ${tier}` }
  for (const policy of policies) {
    let last: ReplayedDecision | undefined
    let allows = false
    for (const names of listsWith(policies, policy)) {
      const decision = ask([policy], names)
      if (decision.outside.length > 0) return verdictOn(decision)
      if (decision.allow) {
        allows = true
        break
      }
      last = decision
    }
    if (allows) continue
    const why = last?.reason === undefined ? '' : ` (${last.reason})`
    return { outcome: 'other', policy, message: `${tier}: ${policy} denies${why}` }
  }
  return { outcome: 'unknown', message: 'it depends on which policies were asked together' }
}

/** All lists of some of them, in their order, in which one is. */
function* listsWith(policies: readonly string[], one: string): Generator<readonly string[]> {
  for (let chosen = 2 ** policies.length - 1; chosen > 0; chosen--) {
    const list = policies.filter((_, index) => (chosen >> index) % 2 === 1)
    if (list.includes(one)) yield list
  }
}
