import { types } from 'node:util'
import { KestConfigError } from './errors.js'

/**
 * Checks the names of options: a misspelled one would not show. The error says which there are. For engines, exporters and adapters outside this package, too.
 *
 * @param where whose options they are; it begins the message
 * @param known the names that there are
 * @throws {KestConfigError} for options that are no object, and for one that is not among `known`
 *
 * @example
 * ```ts
 * assertOptions('createMyEngine', options, ['url', 'timeoutMs'])
 * ```
 */
export function assertOptions(
  where: string,
  options: unknown,
  known: readonly string[] | ReadonlySet<string>,
): asserts options is object {
  if (!isRecord(options)) {
    throw new KestConfigError(`${where}: expected an object of options, got ${kindOf(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!('has' in known ? known.has(name) : known.includes(name)))
      throw new KestConfigError(`${where}: unknown option "${name}"; there are: ${[...known].join(', ')}`)
  }
}

/** An object that has what it says as members: of a map, or of a promise that nobody awaited, none would be read. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !types.isMap(value) && !types.isSet(value) && !types.isPromise(value)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'a map, a set or a promise' : typeof value
}
