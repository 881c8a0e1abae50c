import { SpiffeError } from '../errors.js'
import { SpiffeId, TrustDomain } from '../id/spiffe-id.js'

/**
 * Who may be at the other end. Asked when the peer's certificates were verified: its ID is its own. Only `true` is a yes; a
 * promise, or an error, is a no.
 */
export type Authorizer = (id: SpiffeId) => boolean

/** Everybody whose certificates verify: with federated bundles, that is not only one's own trust domain. */
export function anyId(): Authorizer {
  return () => true
}

/**
 * The members of one trust domain.
 * @throws {SpiffeError} `ERR_SPIFFE_TRUST_DOMAIN`, also for the ID of a workload; `ERR_SPIFFE_ID`
 */
export function memberOf(trustDomain: TrustDomain | string): Authorizer {
  const domain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
  if (typeof trustDomain === 'string' && !domain.isNamed(trustDomain)) {
    throw new SpiffeError(
      'ERR_SPIFFE_TRUST_DOMAIN',
      `memberOf: ${trustDomain} is one workload of a trust domain; oneOf() is for workloads`,
    )
  }
  return (id) => id.memberOf(domain)
}

/**
 * Some workloads, each by its whole ID.
 * @throws {SpiffeError} `ERR_SPIFFE_ID` for one that is malformed or a trust domain's; `ERR_SPIFFE_CONFIG` for none
 */
export function oneOf(...ids: readonly (SpiffeId | string)[]): Authorizer {
  if (ids.length === 0) throw new SpiffeError('ERR_SPIFFE_CONFIG', 'oneOf: expected at least one SPIFFE ID')
  const texts = new Set(
    ids.map((one) => {
      const id = typeof one === 'string' ? SpiffeId.parse(one) : one
      if (id.path !== '') return id.toString()
      throw new SpiffeError('ERR_SPIFFE_ID', `oneOf: ${id} is a trust domain; memberOf() is for its members`)
    }),
  )
  return (id) => texts.has(id.toString())
}
