import { KestConfigError, KestError } from '../errors.js'
import type { IdentityProvider } from '../identity/provider.js'
import { type Deployment, EMPTY_DEPLOYMENT } from '../policy/deployment.js'
import type { RootsInForce } from '../policy/roots-in-force.js'
import type { EffectiveRules } from '../trust/effective-rules.js'
import type { IdentityPart } from '../trust/identity-authorities.js'
import { trustDomainOf } from '../trust/trust-domain.js'
import type { ResolvedListenerOptions, TrustDomainRule } from './listener-options.js'

const SPIFFE = /^spiffe:/i

/** What each principal of a passport may do here (K-DOMAIN, K-EFF, K-ROOTS, K-SWITCH). */
export interface PrincipalRules extends EffectiveRules {
  /** Whether its trust domain is this workload's, listed, or none. */
  accepts(principal: string): boolean
  /** Whether lineage that somebody else began is refused (K-ROOTS). */
  readonly refusesRoots: boolean
}

/**
 * Rules for requests to the workload that `identity` names at the time of the request. Without an identity there is
 * no own trust domain: every domain has to be listed. Who may begin lineage is what the deployment says at that time.
 *
 * @returns a function that answers with the present rules; it throws `ERR_KEST_IDENTITY` while there is no identity.
 * @throws {KestConfigError} when the workload's own trust domain is among the foreign ones.
 */
export function createPrincipalRules(
  options: ResolvedListenerOptions,
  identity: IdentityProvider | null,
  roots?: RootsInForce,
): () => PrincipalRules {
  let self: string | null | undefined
  let deployment: Deployment | undefined
  let rules: PrincipalRules | undefined
  const present = (): PrincipalRules => {
    const now = identity === null ? null : workloadIdOf(identity)
    const current = roots?.current ?? EMPTY_DEPLOYMENT
    if (rules === undefined || self !== now || deployment !== current) rules = rulesFor(now, options, current)
    self = now
    deployment = current
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

function rulesFor(
  self: string | null,
  options: ResolvedListenerOptions,
  deployment: Deployment,
): PrincipalRules {
  const { trustDomains, raisers, identityAuthorities, semantics } = options
  const roots = deployment.roots ?? null
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
  const isNamed = (principal: string, part: IdentityPart): boolean =>
    foreign(principal)?.rule?.identityAuthority === true ||
    identityAuthorities?.get(principal)?.has(part) === true
  return {
    roots,
    refusesRoots: deployment.rootsPolicy === 'refuse' || semantics === 'enforce',
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
    // Others must be named here (K-DOMAIN); of the rest the list says who may, or where there is none, these options.
    mayBeginIdentity: (principal, part) =>
      isNamed(principal, part) ||
      (foreign(principal) === null && (roots !== null || identityAuthorities === null)),
    mayStateIdentity: (principal, part) => principal === self || isNamed(principal, part),
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
