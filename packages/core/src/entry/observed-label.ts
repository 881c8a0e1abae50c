import { canonicalize } from './canonicalize.js'

/** A refusal that was observed instead of enforced (K-OBSERVE). */
export interface ObservedRefusal {
  /** As it would have been refused. */
  readonly code: string
  /** `null` where it is lineage that would have been refused. */
  readonly policy: string | null
  /** Of the policy; `lineage` otherwise. */
  readonly tier: string
}

/** The text of the label `kest.observed`: the JCS of the list, sorted by the JCS of its items. */
export function formatObservedLabel(observed: readonly ObservedRefusal[]): string {
  const items = observed.map(({ code, policy, tier }) => canonicalize({ code, policy, tier }))
  return `[${[...new Set(items)].sort().join(',')}]`
}
