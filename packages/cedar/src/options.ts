import { KestConfigError } from '@kest/core'

/** @throws {KestConfigError} for an option that is not among `known`, or options that are no object */
export function assertKnown(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new KestConfigError(`${where}: expected an object of options`)
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new KestConfigError(`${where}: unknown option "${unknown}"`)
}
