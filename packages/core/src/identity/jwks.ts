import { KestConfigError } from '../errors.js'
import type { PublicJwk } from './jwk.js'
import type { IdentityProvider } from './provider.js'

/** A JWK Set (RFC 7517 §5). */
export interface JwkSet {
  readonly keys: readonly PublicJwk[]
}

/**
 * The document that a workload publishes, so that others can check what it signs: serve it at the https URL that their
 * operators list ({@link createRemoteKeySource}), for instance `/.well-known/kest/jwks.json`.
 *
 * @param identities those whose keys to publish: the present one and, around a rotation, the former
 * @throws {KestConfigError} for an identity that has no key of its own to publish
 */
export function jwksOf(...identities: readonly IdentityProvider[]): JwkSet {
  return {
    keys: identities.map((identity) => {
      const jwk = identity.getPublicJwk?.()
      if (jwk === undefined)
        throw new KestConfigError(`${identity.getWorkloadId()} has no public key to publish`)
      return jwk
    }),
  }
}
