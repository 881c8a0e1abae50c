import type { DeviationRecord, PolicyContextRecord } from '../entry/entry.js'
import { DEPLOYMENT_TIERS, type Deployment, type Deviation } from './deployment.js'
import type { PolicyTier } from './engine.js'
import { isInForce, type PolicyObservation } from './observation.js'

const NONE: readonly never[] = Object.freeze([])

/** The policies that one tier asks for one operation. */
export interface TierPolicies {
  readonly tier: PolicyTier
  /** Non-empty. */
  readonly policies: readonly string[]
}

/** A policy whose refusals are only observed: a question of its own (K-OBSERVE). */
export interface ObservedPolicy extends TierPolicies {
  readonly policy: string
  readonly approver: string
}

/** What is to be asked for one invocation, and what is recorded of it. */
export interface PolicyPlan {
  /** What is enforced, in the order of evaluation (F-PE-07…10); tiers with nothing to ask are left out. */
  readonly tiers: readonly TierPolicies[]
  /** What is only observed, in the same order. */
  readonly observed: readonly ObservedPolicy[]
  /** Deviations in force for this operation and workload, with their tier. */
  readonly deviations: readonly DeviationRecord[]
  /**
   * What the signed entry says (F-AE-13): every policy that is asked, and every deviation that exempted (F-PE-12). What is observed
   * and does not allow is taken out of it.
   */
  readonly record: PolicyContextRecord
}

/** A plan, and for whom and how long it holds. */
interface Planned {
  readonly workload: string
  readonly plan: PolicyPlan
  readonly until: number
  /** Asked each time: one that others have seen to be over stays so, wherever the clock is set back to. */
  readonly observations: readonly PolicyObservation[]
}

/**
 * Lays the deployment's tiers over the policies of an operation. A plan is the same for every invocation of a workload until
 * the first deviation or observation in it expires.
 */
export class PolicyPlanner {
  readonly #deployment: Deployment
  readonly #policies: readonly string[]
  readonly #inScope: readonly Deviation[]
  readonly #observations: readonly PolicyObservation[]
  #last: Planned | undefined

  constructor(deployment: Deployment, operation: string, policies: readonly string[]) {
    this.#deployment = deployment
    this.#policies = policies
    this.#inScope = deployment.deviations.filter((deviation) => deviation.scope.operation === operation)
    this.#observations = (deployment.observe ?? []).filter(
      (one): one is PolicyObservation =>
        one.what === 'policy' && ('all' in one.scope || one.scope.operation === operation),
    )
  }

  /** The plan for `workload` at `now` (milliseconds since the epoch). */
  plan(workload: string, now: number): PolicyPlan {
    const last = this.#last
    if (
      last?.workload === workload &&
      now < last.until &&
      last.observations.every((one) => isInForce(one, now))
    )
      return last.plan
    this.#last = { workload, ...this.#make(workload, now) }
    return this.#last.plan
  }

  #make(workload: string, now: number): Omit<Planned, 'workload'> {
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
    const observations = this.#observations.filter(
      (one) =>
        isInForce(one, now) &&
        ('all' in one.scope || one.scope.workload === undefined || one.scope.workload === workload),
    )
    const { tiers, observed } = split(
      [...asked, { tier: 'function' as const, policies: this.#policies }],
      observations,
    )
    const plan = Object.freeze({
      tiers,
      observed,
      deviations,
      record: Object.freeze({
        enterprise_policies: enterprise?.policies ?? [],
        platform_policies: platform?.policies ?? [],
        app_policies: application?.policies ?? [],
        function_policies: this.#policies,
        deviations,
      }),
    })
    const ends = [...active, ...observations].map(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt)
    return { plan, until: Math.min(...ends), observations }
  }
}

/** What is enforced, tier by tier, and what is only observed, policy by policy: so that it is known which of them did not allow. */
function split(
  asked: readonly TierPolicies[],
  observations: readonly PolicyObservation[],
): Pick<PolicyPlan, 'tiers' | 'observed'> {
  if (observations.length === 0) return { tiers: Object.freeze(asked.filter(hasSome)), observed: NONE }
  const observed: ObservedPolicy[] = []
  const tiers = asked.map(({ tier, policies }) => {
    const enforced = policies.filter((policy) => {
      const by = observations.find(
        (one) =>
          (one.tier === undefined || one.tier === tier) &&
          (one.policies === undefined || one.policies.includes(policy)),
      )
      if (by === undefined) return true
      observed.push(Object.freeze({ tier, policy, policies: Object.freeze([policy]), approver: by.approver }))
      return false
    })
    return { tier, policies: enforced.length === policies.length ? policies : Object.freeze(enforced) }
  })
  return { tiers: Object.freeze(tiers.filter(hasSome)), observed: Object.freeze(observed) }
}

function hasSome({ policies }: TierPolicies): boolean {
  return policies.length > 0
}
