import type { KestEntry, PolicyTier } from '@kest/core'
import { observedRecordOf } from '../observed/observed-label.js'

/** What one tier has decided, as an entry records it. */
export interface RecordedTier {
  readonly tier: PolicyTier
  /** They allowed; in the order in which they were asked. What was only observed and allowed is among them. */
  readonly allowed: readonly string[]
  /** They denied, which was only observed (K-OBSERVE). */
  readonly denied: readonly string[]
}

const TIERS = [
  ['enterprise', 'enterprise_policies'],
  ['platform', 'platform_policies'],
  ['application', 'app_policies'],
  ['function', 'function_policies'],
] as const satisfies readonly (readonly [PolicyTier, keyof KestEntry['policy_context']])[]

/** Tier by tier; those that nothing was asked of are left out. */
export function recordedTiers(entry: KestEntry): readonly RecordedTier[] {
  const { items } = observedRecordOf(entry)
  return TIERS.flatMap(([tier, list]) => {
    const allowed = entry.policy_context[list]
    // What failed, or was not asked, has decided nothing.
    const denied = items.flatMap(({ tier: of, policy, code }) =>
      of === tier && policy !== null && code === 'ERR_KEST_DENIED' ? [policy] : [],
    )
    return allowed.length + denied.length === 0 ? [] : [{ tier, allowed, denied }]
  })
}
