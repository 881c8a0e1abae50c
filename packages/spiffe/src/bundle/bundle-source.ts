import type { MaybePromise } from '@kest/core'
import type { JwtBundle } from './jwt-bundle.js'
import type { X509Bundle } from './x509-bundle.js'

/** Trust domain → the authorities that vouch for its X.509-SVIDs. Answers at once: what it follows, it has at hand. */
export interface X509BundleSource {
  /** Grows with every change of any bundle; what was verified under an earlier one must be verified again. */
  readonly generation: number
  /**
   * The bundle of one trust domain, by its name; `undefined` when there is none. Bundles of other domains are never an
   * answer.
   * @throws {SpiffeError} `ERR_SPIFFE_STALE`, `ERR_SPIFFE_CLOSED` when it cannot say
   */
  getX509Bundle(trustDomain: string): X509Bundle | undefined
  close?(): MaybePromise<void>
}

/** Trust domain → the keys that vouch for its JWT-SVIDs. */
export interface JwtBundleSource {
  /** As {@link X509BundleSource.getX509Bundle}. */
  getJwtBundle(trustDomain: string): JwtBundle | undefined
  close?(): MaybePromise<void>
}
