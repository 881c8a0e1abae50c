import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { PolicyEngine, PolicyRequest } from './engine.js'
import { denied } from './judge.js'

/**
 * Asks several questions at once (K-ASK): one outcome for each, in their order, whatever the engine makes of it. An outcome
 * is what `evaluate` would have answered, and is still to be judged. What fails is an outcome that rejects, and is handled
 * already, so that whoever needs no later outcome may leave it.
 */
export function outcomesOf(
  engine: PolicyEngine,
  requests: readonly PolicyRequest[],
  options: { readonly signal: AbortSignal },
): readonly MaybePromise<unknown>[] {
  try {
    const answers: unknown =
      requests.length > 1 && engine.evaluateAll !== undefined
        ? engine.evaluateAll(requests, options)
        : requests.map((request) => engine.evaluate(request, options))
    if (!isPromise(answers)) return oneEach(answers, requests)
    const whole = Promise.resolve(answers).then((list) => oneEach(list, requests))
    return requests.map((_, index) => settled(whole.then((list) => list[index])))
  } catch (cause) {
    return requests.map(() => settled(Promise.reject(cause)))
  }
}

/** A list of another length answers none of them: which of its outcomes are whose is not known. */
function oneEach(answers: unknown, requests: readonly PolicyRequest[]): readonly MaybePromise<unknown>[] {
  const list: readonly unknown[] | undefined = Array.isArray(answers) ? [...answers] : undefined
  const outcomes = (list ?? []).map((answer) =>
    isPromise(answer) ? settled(Promise.resolve(answer)) : answer,
  )
  if (outcomes.length === requests.length) return outcomes
  const reason =
    list === undefined
      ? `expected ${requests.length} outcomes, got no list`
      : `expected ${requests.length} outcomes, got ${list.length}`
  return requests.map((request) =>
    settled(Promise.reject(denied('ERR_KEST_ENGINE_ANSWER', request, { reason }))),
  )
}

function settled<T>(outcome: Promise<T>): Promise<T> {
  outcome.catch(() => {})
  return outcome
}
