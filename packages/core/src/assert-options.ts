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
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new KestConfigError(`${where}: expected an object of options, got ${kindOf(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!('has' in known ? known.has(name) : known.includes(name)))
      throw new KestConfigError(`${where}: unknown option "${name}"; there are: ${[...known].join(', ')}`)
  }
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
}
