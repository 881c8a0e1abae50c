import type { MaybePromise } from '../maybe-promise.js'
import type { Decision, PolicyEngine, PolicyRequest } from '../policy/engine.js'

/** What a {@link MockPolicyEngine} answers: a fixed decision, one by policy name, or whatever a function says. */
export type MockDecisions =
  | boolean
  | Readonly<Record<string, boolean>>
  | ((request: PolicyRequest, signal: AbortSignal) => MaybePromise<boolean | Decision>)

/**
 * An engine for tests: answers as told and remembers what it was asked. A policy that a record does not name denies.
 *
 * @example
 * ```ts
 * const engine = new MockPolicyEngine({ 'orders/read': true })
 * engine.requests.at(-1)?.context.subject.user
 * ```
 */
export class MockPolicyEngine implements PolicyEngine {
  readonly requests: PolicyRequest[] = []
  readonly #decisions: MockDecisions

  /** @param decisions default: allow everything */
  constructor(decisions: MockDecisions = true) {
    this.#decisions = decisions
  }

  evaluate(
    request: PolicyRequest,
    { signal }: { readonly signal: AbortSignal },
  ): MaybePromise<boolean | Decision> {
    this.requests.push(request)
    const decisions = this.#decisions
    if (typeof decisions === 'boolean') return decisions
    if (typeof decisions === 'function') return decisions(request, signal)
    return request.policies.every((policy) => Object.hasOwn(decisions, policy) && decisions[policy] === true)
  }
}
