import type { Service } from '../chain.js'

/** Where the services have their identities from. */
export interface Identities {
  /** How a service is started, for it to have the identity that is meant for it. */
  settingsOf(service: Service): IdentitySettings
  /** The trust bundle now, a SPIFFE bundle document: what everything that the services sign is verified with. */
  bundle(): Promise<unknown>
  /**
   * A new authority: in the bundle first, then it signs. The old one stays in the bundle.
   * @throws {Failure} where the lab cannot ask for it
   */
  rotateAuthority(): Promise<void>
  /** Nobody answers at the Workload API any more: its agent is gone. */
  stopAgent(): Promise<void>
  startAgent(): Promise<void>
  /** A service is not registered any more. */
  withdraw(service: Service): Promise<void>
  restore(service: Service): Promise<void>
}

export interface IdentitySettings {
  readonly env: Readonly<Record<string, string>>
  readonly user: number | undefined
}
