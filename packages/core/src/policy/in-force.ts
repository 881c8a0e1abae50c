import { assertOptions } from '../assert-options.js'
import type { DeviationRecord } from '../entry/entry.js'
import { KestConfigError } from '../errors.js'
import type { Deployment } from './deployment.js'
import { ObservationsInForce } from './observations-in-force.js'
import { type ObservedPolicy, PolicyPlanner, type TierPolicies } from './tiers.js'

/** For what a deployment is asked what is in force. */
export interface InForceOptions {
  readonly operation: string
  /** Who runs it; without, what holds for all alone. */
  readonly workload?: string
  /** The operation's own policies, which no deployment names. Default: none. */
  readonly policies?: readonly string[]
  /** Milliseconds since the epoch. Default: now. */
  readonly at?: number
}

/** What a deployment says of one operation at one time. */
export interface InForce {
  /** What is enforced, tier by tier; tiers with nothing to ask are left out. */
  readonly enforced: readonly TierPolicies[]
  /** What is only observed (K-OBSERVE). */
  readonly observed: readonly ObservedPolicy[]
  /** What exempts it. */
  readonly deviations: readonly DeviationRecord[]
  /** Whether refusals of lineage are observed where it runs. */
  readonly lineage: 'enforced' | 'observed'
}

const KNOWN = ['operation', 'workload', 'policies', 'at']

/**
 * What a deployment says of an operation, as a service would plan it: which policies are asked and enforced, which are only observed, and
 * which deviations exempt it. Nothing is asked of an engine.
 *
 * @throws {KestConfigError} for options that are unknown, missing or wrong
 *
 * @example
 * ```ts
 * const deployment = await readDeploymentFile('kest.yaml')
 * deploymentInForce(deployment, { operation: 'GET /orders/:id', workload: 'spiffe://example.org/orders' }).observed
 * ```
 */
export function deploymentInForce(deployment: Deployment, options: InForceOptions): InForce {
  assertOptions('deploymentInForce', options, KNOWN)
  const { operation, workload = '', policies = [], at = Date.now() } = options
  if (typeof operation !== 'string' || operation === '') fail('operation: expected a name')
  if (typeof workload !== 'string') fail('workload: expected a principal')
  if (!Array.isArray(policies) || !policies.every((policy) => typeof policy === 'string'))
    fail('policies: expected names')
  if (!Number.isSafeInteger(at)) fail('at: expected milliseconds')
  // Items that are over are so for good, for whoever holds them: these are of this answer alone.
  const own = { ...deployment, observe: deployment.observe?.map((one) => ({ ...one })) ?? [] }
  const plan = new PolicyPlanner(own, operation, policies).plan(workload, at)
  const source = { current: own, close: () => {} }
  const identity = { getWorkloadId: () => workload, current: () => fail('nobody signs here') }
  const lineage = new ObservationsInForce(source, { now: () => at }).ofLineage(identity)
  return {
    enforced: plan.tiers,
    observed: plan.observed,
    deviations: plan.deviations,
    lineage: lineage === undefined ? 'enforced' : 'observed',
  }
}

function fail(message: string): never {
  throw new KestConfigError(`deploymentInForce: ${message}`)
}
