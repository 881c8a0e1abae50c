import { KestConfigError } from './errors.js'

/**
 * @param where whose options they are
 * @throws {KestConfigError} for an option that there is not: a misspelled one would not show
 */
export function assertKnown(where: string, options: object, known: ReadonlySet<string>): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw new KestConfigError(`${where}: unknown option "${name}"`)
  }
}
