import { KestConfigError } from '@kest/core'

/** @throws {KestConfigError} for an option that is not among `known`, or options that are no object */
export function assertKnown(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new KestConfigError(`${where}: expected an object of options`)
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new KestConfigError(`${where}: unknown option "${unknown}"`)
}

/** A longer delay overflows a timer, which then fires at once. */
export const LONGEST_MS = 0x7fffffff

/** A whole number in bounds. @throws {KestConfigError} */
export function toInteger(
  name: string,
  value: unknown,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number
  }
  const bounds = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} to ${most}`
  throw new KestConfigError(`${name}: expected a whole number, ${bounds}; got ${String(value)}`)
}
