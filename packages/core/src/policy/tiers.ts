import type { DeviationRecord, PolicyContextRecord } from '../entry/entry.js'
import { DEPLOYMENT_TIERS, type Deployment, type Deviation } from './deployment.js'
import type { PolicyTier } from './engine.js'

/** The policies that one tier asks for one operation. */
export interface TierPolicies {
  readonly tier: PolicyTier
  /** Non-empty. */
  readonly policies: readonly string[]
}

/** What is to be asked for one invocation, and what is recorded of it. */
export interface PolicyPlan {
  /** In the order of evaluation (F-PE-07…10); tiers with nothing to ask are left out. */
  readonly tiers: readonly TierPolicies[]
  /** Deviations in force for this operation and workload, with their tier. */
  readonly deviations: readonly DeviationRecord[]
  /** What the signed entry says (F-AE-13): every policy that was asked, and every deviation that exempted (F-PE-12). */
  readonly record: PolicyContextRecord
}

/**
 * Lays the deployment's tiers over the policies of an operation. Plans without a deviation that can expire are the
 * same for every invocation and made once per workload.
 */
export class PolicyPlanner {
  readonly #deployment: Deployment
  readonly #policies: readonly string[]
  readonly #inScope: readonly Deviation[]
  readonly #timeless: boolean
  #last: { readonly workload: string; readonly plan: PolicyPlan } | undefined

  constructor(deployment: Deployment, operation: string, policies: readonly string[]) {
    this.#deployment = deployment
    this.#policies = policies
    this.#inScope = deployment.deviations.filter((deviation) => deviation.scope.operation === operation)
    this.#timeless = this.#inScope.every((deviation) => deviation.expiresAt === undefined)
  }

  /** The plan for `workload` at `now` (milliseconds since the epoch). */
  plan(workload: string, now: number): PolicyPlan {
    if (this.#timeless && this.#last?.workload === workload) return this.#last.plan
    const plan = this.#make(workload, now)
    this.#last = { workload, plan }
    return plan
  }

  #make(workload: string, now: number): PolicyPlan {
    const active = this.#inScope.filter(
      ({ scope, expiresAt }) =>
        (scope.workload === undefined || scope.workload === workload) &&
        (expiresAt === undefined || now < expiresAt),
    )
    const asked = DEPLOYMENT_TIERS.map((tier) => ({
      tier,
      policies: Object.freeze(
        this.#deployment.policies[tier].filter(
          (policy) => !active.some((d) => d.tier === tier && d.policy === policy),
        ),
      ),
    }))
    const deviations = Object.freeze(
      active.map(({ policy, tier, reason, approver }) => Object.freeze({ policy, tier, reason, approver })),
    )
    const [enterprise, platform, application] = asked
    return Object.freeze({
      tiers: Object.freeze(
        [...asked, { tier: 'function' as const, policies: this.#policies }].filter(
          ({ policies }) => policies.length > 0,
        ),
      ),
      deviations,
      record: Object.freeze({
        enterprise_policies: enterprise?.policies ?? [],
        platform_policies: platform?.policies ?? [],
        app_policies: application?.policies ?? [],
        function_policies: this.#policies,
        deviations,
      }),
    })
  }
}
