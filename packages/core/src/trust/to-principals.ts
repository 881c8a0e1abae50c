import { KestConfigError } from '../errors.js'

/**
 * A list of principals, as options have it.
 * @returns `null` when there is none
 * @throws {KestConfigError} for anything but a list of names: one name alone would be looked for within others
 */
export function toPrincipals(option: string, value: unknown): ReadonlySet<string> | null {
  if (value === undefined) return null
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string' && name !== ''))
    throw new KestConfigError(`${option}: expected a list of principals`)
  return new Set(value as string[])
}
