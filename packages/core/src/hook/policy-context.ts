import { parseCanonical } from '../entry/canonical-text.js'
import { type JsonObject, type KestEntry, LABEL } from '../entry/entry.js'
import { DEFAULT_LIMITS } from '../limits.js'
import type { Lineage } from '../passport/lineage.js'
import { SharedText, shareText } from '../policy/context-text.js'
import type { PolicyContext, PolicyTier } from '../policy/engine.js'
import type { PolicyPlan } from '../policy/tiers.js'
import type { Names } from '../pseudonyms/names.js'
import type { EffectiveValues } from '../trust/effective.js'

const NO_ATTRIBUTES: JsonObject = Object.freeze({})

/** What the context is made of; the same for all tiers. */
export interface PolicyFacts {
  /** The entry being made; or one that was, whose question is rebuilt (K-REPLAY). */
  readonly entry: KestEntry
  /** Its trust, taints and identity, recomputed (K-EFF). */
  readonly effective: Pick<EffectiveValues, 'trustScore' | 'taints' | 'identity' | 'identityBy'>
  readonly lineage: Pick<Lineage, 'length' | 'summary'>
  /** Whom pseudonyms stand for, where the request begins (K-PSEUDONYM): there policies see the clear name. */
  readonly names: Names | undefined
  /** `environment.source_type`. */
  readonly source: string
  readonly plan: Pick<PolicyPlan, 'deviations'>
}

/** What the policies of a tier see (SPEC §7), frozen to the last member. What is the same for all tiers is made once. */
export function policyContexts({
  entry,
  effective,
  lineage,
  names,
  source,
  plan,
}: PolicyFacts): (tier: PolicyTier, policies: readonly string[]) => PolicyContext {
  const workload = entry.labels[LABEL.principal] as string
  const { identityBy } = effective
  const identity =
    effective.identity === null ? null : (names?.reveal(effective.identity) ?? effective.identity)
  const subject = Object.freeze({
    workload,
    user: identity?.user ?? null,
    agent: identity?.agent ?? null,
    task: identity?.task ?? null,
    trust_score: effective.trustScore,
    taints: Object.freeze(effective.taints),
    identity_by: identityBy,
  })
  const object = objectOf(entry)
  const parents = entry.parent_ids.join(',')
  const summary = lineage.summary()
  const text = new SharedText()
  return (tier, policies) => {
    const context: PolicyContext = {
      subject,
      object,
      environment: Object.freeze({
        is_root: lineage.length === 0,
        source_type: source,
        parent_hash: parents,
        policy_names: policies,
        policy_tier: tier,
        active_deviations: plan.deviations,
        classification: entry.classification,
      }),
      identity: workload,
      trust_score: effective.trustScore,
      lineage: summary,
    }
    shareText(context, text)
    return Object.freeze(context)
  }
}

/** The resource as the entry records it; the operation itself where none was given. */
function objectOf({ operation, labels }: KestEntry): PolicyContext['object'] {
  const recorded = labels[LABEL.resource]
  if (recorded === undefined) return Object.freeze({ id: operation, attributes: NO_ATTRIBUTES })
  const resource = parseCanonical(recorded, DEFAULT_LIMITS.nesting) as Partial<PolicyContext['object']>
  return Object.freeze({ id: resource.id as string, attributes: resource.attributes ?? NO_ATTRIBUTES })
}
