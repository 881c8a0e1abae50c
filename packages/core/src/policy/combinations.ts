import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { type Deployment, EMPTY_DEPLOYMENT, parseDeployment } from './deployment.js'
import { PolicyPlanner } from './tiers.js'

/** More than a deployment of many deviations has; beyond it, name fewer lists at once. */
const MOST = 10_000

/** What holds for an operation and a workload that no deviation and no observation names. */
const NO_NAME = ''
/** Everything is in force. */
const BEGINNING = 0

export interface PolicyCombinationsOptions {
  /** Text of the deployment file; left out where there is none. */
  readonly deployment?: { readonly text: string; readonly file: string }
  /** For each operation the policies of its own, in their order. */
  readonly policies: readonly (readonly string[])[]
}

/**
 * Which policies operations ask together: for each list of policies of an operation's own, those of the deployment's tiers before
 * it, one list for each question (K-ASK), each policy once as an operation asks it. Deviations and observations may or may not be for an operation, and expire: each of
 * their states is among it, whatever the time is. What is only observed is asked by itself, and is not.
 *
 * @throws {KestConfigError} for an option that is unknown, a deployment file that does not hold, and for more than 10,000 states of it
 */
export function policyCombinations(
  options: PolicyCombinationsOptions,
): readonly (readonly (readonly string[])[])[] {
  assertOptions('policyCombinations', options, ['deployment', 'policies'])
  const { deployment: given, policies } = options
  const deployment = given === undefined ? EMPTY_DEPLOYMENT : parseDeployment(given.text, given.file)
  const { operations, workloads, moments } = statesOf(deployment)
  const states = operations.length * workloads.length * moments.length * policies.length
  if (states > MOST)
    throw new KestConfigError(`${states} combinations of policies may be asked; ${MOST} are looked at`)
  const found = new Map<string, readonly (readonly string[])[]>()
  // In the order of time: what is seen to be over stays so.
  for (const moment of moments) {
    for (const operation of operations) {
      for (const own of policies) {
        const planner = new PolicyPlanner(deployment, operation, [...new Set(own)])
        for (const workload of workloads) {
          const asked = planner.plan(workload, moment).tiers.map((tier) => tier.policies)
          found.set(JSON.stringify(asked), asked)
        }
      }
    }
  }
  return [...found.values()]
}

/** All that makes a difference. */
function statesOf({ deviations, observe = [] }: Deployment) {
  const operations = new Set([NO_NAME])
  const workloads = new Set([NO_NAME])
  const moments = new Set([BEGINNING])
  const policyObservations = observe.filter((one) => one.what === 'policy')
  for (const { scope, expiresAt } of [...deviations, ...policyObservations]) {
    if ('operation' in scope) operations.add(scope.operation)
    if ('workload' in scope && scope.workload !== undefined) workloads.add(scope.workload)
    if (expiresAt !== undefined) moments.add(expiresAt)
  }
  return {
    operations: [...operations],
    workloads: [...workloads],
    moments: [...moments].sort((one, other) => one - other),
  }
}
