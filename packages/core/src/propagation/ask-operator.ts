import { askRule } from '../ask-rule.js'
import { KestError } from '../errors.js'

/**
 * Whether a destination is in scope, by a function of the operator (K-SCOPE).
 *
 * @param name what messages call the destination
 * @throws {KestError} `ERR_KEST_OUTBOUND` when the function throws, or answers something other than `true` or `false`
 */
export function askOperator<T>(propagateTo: (to: T) => boolean, to: T, name: string): boolean {
  return askRule(propagateTo, to, {
    failed: (cause) =>
      new KestError('ERR_KEST_OUTBOUND', `propagateTo: the function failed for ${name}`, { cause }),
    undecided: (answer) =>
      new KestError(
        'ERR_KEST_OUTBOUND',
        `propagateTo: expected true or false for ${name}, got ${typeof answer}`,
      ),
  })
}
