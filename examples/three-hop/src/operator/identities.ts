import type { TrustDocument } from '@kest/core'
import type { Enlistment } from '../hop/messages.js'
import type { Settings } from './child.js'

/** What each hop has said of itself, by the name under which the operator started it, in the chain's order. */
export type Enlisted = ReadonlyMap<string, Enlistment>

/** Where the hops have their identities from, and by what anybody can tell them. */
export interface Identities {
  /** For whoever watches. */
  readonly description: string
  /** How a hop is started, for it to have the identity that is meant for it. */
  settingsOf(name: string): Settings
  /**
   * What everything that they sign is verified with.
   * @throws {Failure} when one of them is not who it should be
   */
  trustIn(hops: Enlisted): TrustDocument
  /** When this resolves, nothing of it is left. */
  close(): Promise<void>
}
