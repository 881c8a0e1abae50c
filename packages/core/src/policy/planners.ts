import type { DeploymentSource } from './deployment-file.js'
import { PolicyPlanner } from './tiers.js'

/** What is planned for: an operation with the policies of its own. */
export interface PlannedOperation {
  readonly operation: string
  readonly policies: readonly string[]
}

/** One planner for each operation, made anew when the deployment has changed. */
export class PolicyPlanners {
  readonly #source: DeploymentSource
  #deployment: DeploymentSource['current']
  #planners = new WeakMap<PlannedOperation, PolicyPlanner>()

  constructor(source: DeploymentSource) {
    this.#source = source
    this.#deployment = source.current
  }

  /** The planner of an operation under the deployment of this moment: ask once for each invocation. */
  of(operation: PlannedOperation): PolicyPlanner {
    const { current } = this.#source
    if (current !== this.#deployment) {
      this.#deployment = current
      this.#planners = new WeakMap()
    }
    let planner = this.#planners.get(operation)
    if (planner === undefined) {
      planner = new PolicyPlanner(current, operation.operation, operation.policies)
      this.#planners.set(operation, planner)
    }
    return planner
  }
}
