import { KestConfigError } from '../errors.js'
import { askOperator } from '../propagation/ask-operator.js'

/** Which queues and topics receive passports (K-SCOPE): their URIs, exactly, or a function of the URI. */
export type MessageScope = readonly string[] | ((to: string) => boolean)

/**
 * Checks a rule and makes it a predicate. Without a rule nobody is in scope.
 *
 * @returns a predicate; it throws a `KestError` with `ERR_KEST_OUTBOUND` when a function of the operator throws, or answers
 *   something other than `true` or `false`
 * @throws {KestConfigError}
 */
export function compileMessageScope(propagateTo: MessageScope | undefined): (to: string) => boolean {
  if (propagateTo === undefined) return () => false
  if (typeof propagateTo === 'function') return (to) => askOperator(propagateTo, to, to)
  if (!Array.isArray(propagateTo) || !propagateTo.every((to) => typeof to === 'string' && to !== ''))
    throw new KestConfigError(
      'messages.propagateTo: expected a list of URIs of queues and topics, or a function',
    )
  const exact = new Set(propagateTo)
  return (to) => exact.has(to)
}
