import { KestConfigError, KestError } from '../errors.js'
import type { IdentityProvider } from '../identity/provider.js'
import { trustDomainOf } from '../trust/trust-domain.js'
import type { ResolvedListenerOptions, TrustDomainRule } from './listener-options.js'

const SPIFFE = /^spiffe:/i

/** What each principal of a passport may do here (K-DOMAIN, K-EFF, K-IDENT). */
export interface PrincipalRules {
  /** Whether its trust domain is this workload's, listed, or none. */
  accepts(principal: string): boolean
  /** The most that its data is trusted; `undefined` when it is not limited. */
  ceiling(principal: string): number | undefined
  /** Whether its trust overrides and removals of taints count. */
  mayRaise(principal: string): boolean
  /** Whether it may say who acts. */
  mayStateIdentity(principal: string): boolean
}

/**
 * Rules for requests to the workload that `identity` names at the time of the request. Without an identity there is
 * no own trust domain: every domain has to be listed.
 *
 * @returns a function that answers with the present rules; it throws `ERR_KEST_IDENTITY` while there is no identity.
 * @throws {KestConfigError} when the workload's own trust domain is among the foreign ones.
 */
export function createPrincipalRules(
  options: ResolvedListenerOptions,
  identity: IdentityProvider | null,
): () => PrincipalRules {
  if (identity === null) {
    const rules = rulesFor(null, options)
    return () => rules
  }
  let self: string | undefined
  let rules: PrincipalRules | undefined
  const present = (): PrincipalRules => {
    const now = workloadIdOf(identity)
    if (rules === undefined || self !== now) rules = rulesFor(now, options)
    self = now
    return rules
  }
  try {
    present()
  } catch (error) {
    // An identity may come later; a wrong configuration stays one.
    if (error instanceof KestConfigError) throw error
  }
  return present
}

function rulesFor(self: string | null, options: ResolvedListenerOptions): PrincipalRules {
  const { trustDomains, raisers, identityAuthorities } = options
  const ownDomain = self === null ? undefined : trustDomainOf(self)
  if (ownDomain !== undefined && trustDomains.has(ownDomain)) {
    throw new KestConfigError(
      `listener.trustDomains: "${ownDomain}" is this workload's own trust domain; only others are listed (K-DOMAIN)`,
    )
  }
  const isOwn = (principal: string): boolean => {
    if (principal === self) return true
    return ownDomain !== undefined && trustDomainOf(principal) === ownDomain
  }
  const foreign = (principal: string): { readonly rule: TrustDomainRule | undefined } | null => {
    const domain = trustDomainOf(principal)
    // What is spelled like a SPIFFE ID and is none belongs to no domain that could be listed.
    if (domain === undefined) return SPIFFE.test(principal) ? { rule: undefined } : null
    return domain === ownDomain ? null : { rule: trustDomains.get(domain) }
  }
  return {
    accepts: (principal) => {
      const other = foreign(principal)
      return other === null || other.rule !== undefined
    },
    ceiling: (principal) => {
      const other = foreign(principal)
      return other === null ? undefined : (other.rule?.ceiling ?? 0)
    },
    mayRaise: (principal) =>
      foreign(principal)?.rule?.raiser === true ||
      (raisers === null ? isOwn(principal) : raisers.has(principal)),
    mayStateIdentity: (principal) => {
      const other = foreign(principal)
      if (other?.rule?.identityAuthority === true) return true
      return identityAuthorities === null ? other === null : identityAuthorities.has(principal)
    },
  }
}

function workloadIdOf(identity: IdentityProvider): string {
  try {
    return identity.getWorkloadId()
  } catch (cause) {
    throw new KestError('ERR_KEST_IDENTITY', 'this workload has no identity now, so it has no trust domain', {
      cause,
    })
  }
}
