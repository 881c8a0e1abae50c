import type { IdentityProvider } from '../identity/provider.js'
import type { Logger } from '../telemetry/logger.js'
import type { RootList } from '../trust/root-list.js'
import type { Deployment } from './deployment.js'
import type { DeploymentSource } from './deployment-file.js'

/**
 * Who may begin lineage, as the deployment says at this moment (K-ROOTS), and what an operator is told of it once: that there
 * is no list, and that this process makes roots which its own list lets nobody believe.
 */
export class RootsInForce {
  readonly #source: DeploymentSource
  readonly #logger: Logger
  #saidUnlisted = false
  /** Of which list, and of whom, it is known already. */
  #known: { readonly list: RootList; readonly principal: string } | undefined

  constructor(source: DeploymentSource, logger: Logger) {
    this.#source = source
    this.#logger = logger
  }

  /** Another object when it has changed. */
  get current(): Deployment {
    return this.#source.current
  }

  /** Lineage is read here. */
  reads(): void {
    if (this.current.roots !== undefined || this.#saidUnlisted) return
    this.#saidUnlisted = true
    this.#logger.warn(
      {},
      'NO LIST OF ROOTS: whoever is accepted here may begin lineage, with any trust and any user; list them as "roots" in the deployment file (K-ROOTS)',
    )
  }

  /** Roots are made here, by this principal. */
  makes(principal: string): void {
    const { roots } = this.current
    if (roots === undefined || (this.#known?.list === roots && this.#known.principal === principal)) return
    this.#known = { list: roots, principal }
    if (roots.grantOf(principal) !== undefined) return
    this.#logger.warn(
      { workload_id: principal },
      'this process begins lineage and is not among the "roots" of its own deployment file: what it begins has no trust (K-ROOTS)',
    )
  }

  /** Roots will be made here, once there is an identity. */
  willMake(identity: IdentityProvider | null): void {
    let principal: string | undefined
    try {
      principal = identity?.getWorkloadId()
    } catch {
      // It may come later, and is then judged with the first root.
    }
    if (principal !== undefined) this.makes(principal)
  }
}
