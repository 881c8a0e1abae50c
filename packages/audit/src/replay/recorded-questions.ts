import {
  contextDigest,
  type DeviationRecord,
  type IgnorableField,
  type KestEntry,
  LABEL,
  OBSERVED_TAINT,
  type PolicyContext,
  type PolicyTier,
  policyContexts,
  withhold,
} from '@kest/core'
import type { AuditedEntry } from '../judge/audited-entry.js'
import { observedRecordOf } from '../observed/observed-label.js'
import { Ancestors } from './ancestors.js'
import { lineageSummaries } from './lineage-orders.js'

/** What was asked, rebuilt: the context of a tier's question for these policies. */
export type AskedContext = (tier: PolicyTier, policies: readonly string[]) => PolicyContext

/** Why a question cannot be rebuilt. */
export type NotRebuilt =
  /** The entry, or what it builds on, is not proven. */
  | 'not-verified'
  /** It has no `kest.context`: pseudonyms are on, tiers were shown different parts, or whoever signed it writes none. */
  | 'no-context'
  /** What follows from entry and lineage is not what was asked: raisers, ceilings, lists or withheld parts of that time are others. */
  | 'context-differs'

/** What of the context no engine was shown, as caches of decisions withhold it. */
export type Withheld = ReadonlySet<IgnorableField>

/**
 * Rebuilds what the policies of recorded operations were asked, from entry and lineage (K-REPLAY). It is what was asked if, and only if,
 * its digest is the `kest.context` that was signed.
 */
export class RecordedQuestions {
  readonly #ancestors: Ancestors
  readonly #withheld: readonly Withheld[]

  /**
   * @param entries of one trace, in a passport's order
   * @param withheld what engines may have been kept from seeing, each of which is tried
   * @param most entries that a passport may have
   */
  constructor(entries: readonly AuditedEntry[], withheld: readonly Withheld[], most: number) {
    this.#ancestors = new Ancestors(entries, most)
    this.#withheld = withheld
  }

  of(one: AuditedEntry): AskedContext | NotRebuilt {
    if (one.status !== 'verified' || one.trustScore === null) return 'not-verified'
    const { entry } = one
    const digest = entry.labels[LABEL.context]
    const source = entry.labels[LABEL.source]
    if (digest === undefined || source === undefined) return 'no-context'
    const ancestors = this.#ancestors.of(one)
    if (ancestors === undefined) return 'context-differs'
    try {
      return this.#rebuild(one, ancestors, digest, source)
    } catch {
      // Whoever signs writes labels as it likes: of what is no resource, say, nothing was asked.
      return 'context-differs'
    }
  }

  #rebuild(
    one: AuditedEntry,
    ancestors: readonly AuditedEntry[],
    digest: string,
    source: string,
  ): AskedContext | NotRebuilt {
    const { entry } = one
    const trustScore = one.trustScore as number
    const resource = entry.labels[LABEL.resource]
    const taints = taintsOf(one)
    for (const summary of lineageSummaries(ancestors)) {
      for (const who of identitiesOf(one)) {
        const asked = policyContexts({
          entry,
          effective: { trustScore, taints, ...who },
          lineage: { length: ancestors.length, summary: () => summary },
          names: undefined,
          source,
          plan: { deviations: deviationsOf(entry) },
        })
        const context = asked('function', [])
        for (const withheld of this.#withheld)
          if (contextDigest(context, withheld, resource) === digest)
            return (tier, policies) => withhold(asked(tier, policies), withheld)
      }
    }
    return 'context-differs'
  }
}

/** What decisions saw: not the taint of their own entry (K-OBSERVE). */
function taintsOf({ entry, taints }: AuditedEntry): readonly string[] {
  return entry.added_taints.includes(OBSERVED_TAINT)
    ? taints.filter((taint) => taint !== OBSERVED_TAINT)
    : taints
}

type Who = Pick<AuditedEntry, 'identity' | 'identityBy'>

/** As the lineage gives it to the audit; and as the signer has stated it, which is its own authority in its own process (K-SWITCH). */
function* identitiesOf({ entry, principal, identity, identityBy }: AuditedEntry): Generator<Who> {
  yield { identity, identityBy }
  const label = entry.labels[LABEL.identity]
  if (label === undefined) return
  // The entry would not have been read otherwise.
  const { user, agent, task } = JSON.parse(label) as Record<'user' | 'agent' | 'task', string | null>
  if (user === null && agent === null && task === null) return
  yield { identity: { user, agent, task }, identityBy: principal }
}

/** Without those that say what was only observed, which came after the decision. */
function deviationsOf(entry: KestEntry): readonly DeviationRecord[] {
  const { deviations } = entry.policy_context
  const { items } = observedRecordOf(entry)
  if (items.length === 0) return deviations
  return deviations.filter(
    ({ policy, tier, reason }) =>
      !items.some((one) => one.policy === policy && one.tier === tier && reason === `observed: ${one.code}`),
  )
}
