import { type Decision, PolicyDeniedError, type PolicyRequest } from '@kest/core'

/** A denial, with the policy that it is of. */
export function denial(policy: string, reason: string | undefined): Decision {
  return reason === undefined
    ? { allow: false, reason: policy }
    : { allow: false, reason: `${policy}: ${reason}` }
}

/** That a policy could not be decided, and why. */
export function undecided(
  code: 'ERR_KEST_ENGINE' | 'ERR_KEST_ENGINE_TIMEOUT' | 'ERR_KEST_ENGINE_ANSWER',
  policies: readonly string[],
  why: string,
  { entryId }: Pick<PolicyRequest, 'entryId'>,
  cause?: unknown,
): PolicyDeniedError {
  return new PolicyDeniedError(code, `${policies.join(', ')}: ${why}`, {
    policies,
    entryId,
    ...(cause === undefined ? {} : { cause }),
  })
}
