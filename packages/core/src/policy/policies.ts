import { KestConfigError } from '../errors.js'

/** One policy or several; all of several must allow (F-PE-03). */
export type Policies = string | readonly [string, ...string[]]

/**
 * A non-empty, frozen list of policy names.
 * @throws {KestConfigError} for no policy, an empty list (SPEC §11.6), or a name that is not a non-empty string.
 */
export function toPolicies(policy: unknown, operation: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(policy) ? policy : [policy]
  if (list.length === 0) throw new KestConfigError(`operation "${operation}": the list of policies is empty`)
  for (const name of list) {
    if (typeof name !== 'string' || name === '') {
      throw new KestConfigError(
        `operation "${operation}": a policy is a non-empty string, got ${typeof name}`,
      )
    }
  }
  return Object.freeze([...new Set(list as readonly string[])])
}
