import type { Clock } from '../clock.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { DeploymentSource } from './deployment-file.js'
import { isInForce, type LineageObservation } from './observation.js'

/** What is observed instead of enforced, as the deployment says at this moment (K-OBSERVE). */
export class ObservationsInForce {
  readonly #source: DeploymentSource
  readonly #clock: Clock

  constructor(source: DeploymentSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  /** By which refusals of lineage are observed at this workload; `undefined` where they are enforced. */
  ofLineage(identity: IdentityProvider | null): LineageObservation | undefined {
    const { observe } = this.#source.current
    if (observe === undefined) return undefined
    const now = this.#clock.now()
    let workload: string | undefined
    return observe.find((one): one is LineageObservation => {
      if (one.what !== 'lineage' || !isInForce(one, now)) return false
      if ('all' in one.scope) return true
      workload ??= workloadIdOf(identity)
      return one.scope.workload === workload
    })
  }
}

/** Who does not know who it is observes nothing in that name. */
function workloadIdOf(identity: IdentityProvider | null): string | undefined {
  try {
    return identity?.getWorkloadId()
  } catch {
    return undefined
  }
}
