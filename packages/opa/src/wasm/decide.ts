import { contextJson, type Decision, type PolicyRequest } from '@kest/core'
import { alsoAllowed } from '../decision/allowed.js'
import type { DecisionReader } from '../decision/read-decision.js'
import { denial, undecided } from '../decision/refusal.js'
import type { CompiledPolicy } from './compiled-policy.js'

/**
 * Asks compiled policies, in order, until one does not allow.
 *
 * @throws {PolicyDeniedError} `ERR_KEST_ENGINE` for one that fails, `ERR_KEST_ENGINE_ANSWER` for a document that is no decision
 */
export function decide(
  compiled: CompiledPolicy,
  { pathOf, read }: { pathOf(policy: string): string; readonly read: DecisionReader },
  request: PolicyRequest,
): true | Decision {
  const { policies, context } = request
  const question = guard(policies, request, () => compiled.ask(contextJson(context)))
  let allowed: true | Decision = true
  for (const policy of policies) {
    const entrypoint = compiled.entrypoint(pathOf(policy))
    if (entrypoint === undefined) return denial(policy, 'there is no such policy')
    const document = guard([policy], request, () => question(entrypoint))
    if (document === true) continue
    const decision = read(document)
    if (decision === null) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', [policy], 'its document is no decision', request)
    }
    if (!decision.allow) return denial(policy, decision.reason)
    allowed = alsoAllowed(allowed, policy, decision.reason)
  }
  return allowed
}

/** @throws {PolicyDeniedError} `ERR_KEST_ENGINE`, for whatever is thrown */
function guard<T>(policies: readonly string[], request: PolicyRequest, ask: () => T): T {
  try {
    return ask()
  } catch (cause) {
    throw undecided('ERR_KEST_ENGINE', policies, (cause as Error).message, request, cause)
  }
}
