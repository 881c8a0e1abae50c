import { KestConfigError } from './errors.js'

/**
 * Numbers among options, each its default where it is not given.
 * @throws {KestConfigError} for one that is no positive safe integer; `where` begins the message
 */
export function positiveIntegers<Name extends string>(
  where: string,
  defaults: Readonly<Record<Name, number>>,
  options: Readonly<Partial<Record<NoInfer<Name>, number>>>,
): Record<Name, number> {
  const numbers: Record<Name, number> = { ...defaults }
  for (const name of Object.keys(defaults) as Name[]) {
    const value = options[name]
    if (value === undefined) continue
    if (!Number.isSafeInteger(value) || value < 1)
      throw new KestConfigError(`${where}: ${name}: expected a positive integer, got ${String(value)}`)
    numbers[name] = value
  }
  return numbers
}
