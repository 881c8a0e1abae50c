import type { KeyObject } from 'node:crypto'
import { TrustDomain } from '../id/spiffe-id.js'

/** The keys with which one trust domain signs JWT-SVIDs, by their `kid`. Fixed once made; it may be empty. */
export class JwtBundle {
  readonly trustDomain: TrustDomain
  readonly keys: ReadonlyMap<string, KeyObject>

  constructor(trustDomain: TrustDomain | string, keys: ReadonlyMap<string, KeyObject>) {
    this.trustDomain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
    this.keys = new Map(keys)
    Object.freeze(this)
  }

  /** Whether it is of the same domain with the same keys under the same names. */
  equals(other: JwtBundle): boolean {
    return (
      this.trustDomain.equals(other.trustDomain) &&
      this.keys.size === other.keys.size &&
      [...this.keys].every(([kid, key]) => other.keys.get(kid)?.equals(key) === true)
    )
  }
}
