import { type Decision, type PolicyDeniedCode, PolicyDeniedError, type PolicyRequest } from '@kest/core'

/** A denial, with the policy that it is of. */
export function denial(policy: string, reason: string | undefined): Decision {
  return reason === undefined
    ? { allow: false, reason: policy }
    : { allow: false, reason: `${policy}: ${reason}` }
}

/** That a policy could not be decided, and why. */
export function undecided(
  code: Exclude<PolicyDeniedCode, 'ERR_KEST_DENIED'>,
  policies: readonly string[],
  why: string,
  { entryId }: Pick<PolicyRequest, 'entryId'>,
  cause?: unknown,
): PolicyDeniedError {
  return new PolicyDeniedError(code, {
    policies,
    entryId,
    reason: `${policies.join(', ')}: ${why}`,
    ...(cause === undefined ? {} : { cause }),
  })
}
