import { type DeviationRecord, LABEL, type PolicyContextRecord } from '../entry/entry.js'
import { formatObservedLabel, type ObservedRefusal } from '../entry/observed-label.js'
import type { PolicyDeniedError } from '../errors.js'
import type { Lineage } from '../passport/lineage.js'
import type { Question } from '../policy/ask.js'
import type { ObservedPolicy } from '../policy/tiers.js'
import type { Verdicts } from '../policy/watch.js'
import { OBSERVED_TAINT } from '../trust/reserved.js'
import { sortedTaints } from '../trust/taints.js'
import type { EntryDraft } from './draft.js'

/** A policy that did not allow, and was only observed. */
export interface ObservedDenial extends ObservedPolicy {
  readonly error: PolicyDeniedError
}

const NO_DENIALS: readonly ObservedDenial[] = Object.freeze([])

function isRefusal(verdict: PolicyDeniedError | null): boolean {
  return verdict !== null
}

/** Those of the observed policies that did not allow. */
export function denialsIn(
  observed: readonly ObservedPolicy[],
  verdicts: Verdicts,
): readonly ObservedDenial[] {
  if (!verdicts.some(isRefusal)) return NO_DENIALS
  return observed.flatMap((one, place) => {
    const error = verdicts[place]
    return error ? [{ ...one, error }] : []
  })
}

/** Those of the observed questions whose engine has decided, whichever way: one that failed may be down. */
export function decidedIn(questions: readonly Question[], verdicts: Verdicts): readonly Question[] {
  if (!verdicts.some(isRefusal)) return questions
  return questions.filter((_, place) => (verdicts[place]?.code ?? 'ERR_KEST_DENIED') === 'ERR_KEST_DENIED')
}

/** Characters of what an entry says of policies that were observed not to allow: it travels with every request that follows. */
const MAX_LISTED = 2_048

/**
 * The entry of an operation that would have been refused, if that were not only observed (K-OBSERVE). It says so by a label and
 * by a taint that stays, and no policy stands in its tier's list that did not allow. Made after the last policy was asked, so
 * that none sees any of this in its own entry.
 *
 * @param room how many characters the list may have: those of the policies that are beyond it are counted
 */
export function withObserved(
  draft: EntryDraft,
  { tips }: Lineage,
  lineage: readonly ObservedRefusal[],
  denials: readonly ObservedDenial[],
  room = MAX_LISTED,
): EntryDraft {
  const inherited = tips.some(({ taints }) => taints.includes(OBSERVED_TAINT))
  const listed = listedOf(denials, room)
  const leftOut = denials.length - listed.length
  return {
    ...draft,
    added_taints: inherited ? draft.added_taints : Object.freeze([...draft.added_taints, OBSERVED_TAINT]),
    taints: sortedTaints(new Set([...draft.taints, OBSERVED_TAINT])),
    labels: {
      ...draft.labels,
      [LABEL.observed]: observedText(lineage, listed),
      ...(leftOut > 0 && { [LABEL.observedLeftOut]: String(leftOut) }),
    },
    policy_context: without(denials, listed, draft.policy_context),
  }
}

/** All that was observed, as the label has it: of the label some may be left out. */
export function observedText(
  lineage: readonly ObservedRefusal[],
  denials: readonly ObservedDenial[],
): string {
  return formatObservedLabel([...lineage, ...denials.map(refusalOf)])
}

function refusalOf({ error: { code }, policy, tier }: ObservedDenial): ObservedRefusal {
  return { code, policy, tier }
}

function deviationOf({ policy, tier, approver, error }: ObservedDenial): DeviationRecord {
  return { policy, tier, reason: `observed: ${error.code}`, approver }
}

/** The first of them, as far as there is room. */
function listedOf(denials: readonly ObservedDenial[], room: number): readonly ObservedDenial[] {
  let left = room
  const end = denials.findIndex((denial) => {
    left -= JSON.stringify(refusalOf(denial)).length + JSON.stringify(deviationOf(denial)).length
    return left < 0
  })
  return end === -1 ? denials : denials.slice(0, end)
}

function without(
  denials: readonly ObservedDenial[],
  listed: readonly ObservedDenial[],
  { deviations, ...record }: PolicyContextRecord,
): PolicyContextRecord {
  const allowedOf = (tier: ObservedPolicy['tier'], policies: readonly string[]): readonly string[] =>
    policies.filter((policy) => !denials.some((denial) => denial.tier === tier && denial.policy === policy))
  return {
    enterprise_policies: allowedOf('enterprise', record.enterprise_policies),
    platform_policies: allowedOf('platform', record.platform_policies),
    app_policies: allowedOf('application', record.app_policies),
    function_policies: allowedOf('function', record.function_policies),
    deviations: [...deviations, ...listed.map(deviationOf)],
  }
}
