import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Decision, PolicyContext, PolicyEngine } from './engine.js'
import { joinReasons, toReason } from './reason.js'
import { parseRevision } from './revision.js'

/** A policy written as a function of what policies see. */
export type PolicyFunction = (context: PolicyContext) => MaybePromise<boolean | Decision>

export interface FunctionEngineOptions {
  /**
   * A name of the functions' text, such as the commit that they are built from: entries have it as the revision `function:name:<revision>`
   * (K-REVISION). Default: none is recorded.
   */
  readonly revision?: string
}

/**
 * An engine whose policies are functions of this process: for tests, examples, and rules that need no engine of their
 * own. All named policies are asked, in order, until one does not allow; a name that is not here denies.
 *
 * @example
 * ```ts
 * const engine = createFunctionEngine({
 *   'orders/read': ({ trust_score }) => trust_score >= 40,
 *   'orders/refund': ({ subject }) => ({ allow: subject.user === 'alice', reason: 'only alice refunds' }),
 * })
 * ```
 * @throws {KestConfigError} when a policy is not a function, and for options that are unknown or wrong
 */
export function createFunctionEngine(
  policies: Readonly<Record<string, PolicyFunction>>,
  options: FunctionEngineOptions = {},
): PolicyEngine {
  assertOptions('createFunctionEngine', options, ['revision'])
  if (typeof policies !== 'object' || policies === null)
    throw new KestConfigError('createFunctionEngine: expected policies by their names')
  const functions = new Map(Object.entries(policies))
  for (const [name, policy] of functions) {
    if (typeof policy !== 'function') throw new KestConfigError(`policy "${name}": expected a function`)
  }
  const revision = options.revision === undefined ? undefined : `function:name:${options.revision}`
  if (revision !== undefined && parseRevision(revision) === undefined)
    throw new KestConfigError(
      'createFunctionEngine.revision: expected a name of at most 242 characters, all of which can be seen',
    )
  const named = (answer: boolean | Decision): boolean | Decision => {
    if (revision === undefined) return answer
    if (typeof answer === 'boolean') return { allow: answer, revision }
    return typeof answer === 'object' && answer !== null ? { ...answer, revision } : answer
  }
  const ask = (
    names: readonly string[],
    from: number,
    context: PolicyContext,
    said?: string,
  ): MaybePromise<boolean | Decision> => {
    let reason = said
    for (let index = from; index < names.length; index++) {
      const name = names[index] as string
      const policy = functions.get(name)
      if (policy === undefined) return { allow: false, reason: `no policy "${name}"` }
      const answer = answered(policy(context))
      if (isPromise(answer))
        return answer.then((settled) =>
          allows(settled) ? ask(names, index + 1, context, joinReasons(reason, reasonOf(settled))) : settled,
        )
      if (!allows(answer)) return answer
      reason = joinReasons(reason, reasonOf(answer))
    }
    return reason === undefined ? true : { allow: true, reason }
  }
  const engine: PolicyEngine = {
    evaluate: (request) => {
      const answer = ask(request.policies, 0, request.context)
      return isPromise(answer) ? answer.then(named) : named(answer)
    },
    revision: () => revision,
    // Functions hold no connection that others need.
    get aside() {
      return engine
    },
  }
  return engine
}

function allows(answer: boolean | Decision): boolean {
  return answer === true || (typeof answer === 'object' && answer?.allow === true)
}

function reasonOf(answer: boolean | Decision): string | undefined {
  return typeof answer === 'object' ? toReason(answer.reason) : undefined
}
