import { type Decision, type PolicyDeniedCode, PolicyDeniedError, type PolicyRequest } from '@kest/core'

/** What Cedar answered for one action, whoever ran it. */
export interface CedarAnswer {
  readonly allow: boolean
  /** Ids of the policies that decided. */
  readonly reasons: readonly string[]
  /** What policies failed with. Cedar goes on without those. */
  readonly errors: readonly string[]
}

/**
 * A decision out of an answer, with the policies that decided.
 *
 * @param before what the policies of Kest before this one decided, which is that they allow
 * @throws {PolicyDeniedError} `ERR_KEST_ENGINE` for an allow beside errors: what failed may have been what forbids
 */
export function judge(
  policy: string,
  answer: CedarAnswer,
  request: PolicyRequest,
  before: Decision | undefined,
): Decision {
  const { allow } = answer
  // Cedar has them as sets, in any order.
  const [reasons, errors] = [answer.reasons.toSorted(), answer.errors.toSorted()]
  if (allow && errors.length === 0) {
    if (reasons.length === 0) return before ?? { allow }
    const permitted = `${policy}: permitted by ${reasons.join(', ')}`
    return { allow, reason: before?.reason === undefined ? permitted : `${before.reason}; ${permitted}` }
  }
  const failed = errors.length === 0 ? '' : `; failed: ${errors.join('; ')}`
  if (allow)
    throw undecided('ERR_KEST_ENGINE', policy, `allowed beside policies that failed${failed}`, request)
  const denied = reasons.length === 0 ? 'no policy permits it' : `forbidden by ${reasons.join(', ')}`
  return { allow: false, reason: `${policy}: ${denied}${failed}` }
}

/** That a policy could not be decided, and why. */
export function undecided(
  code: Exclude<PolicyDeniedCode, 'ERR_KEST_DENIED'>,
  policy: string,
  why: string,
  { entryId }: Pick<PolicyRequest, 'entryId'>,
  cause?: unknown,
): PolicyDeniedError {
  return new PolicyDeniedError(code, {
    policies: [policy],
    entryId,
    reason: `${policy}: ${why}`,
    ...(cause === undefined ? {} : { cause }),
  })
}
