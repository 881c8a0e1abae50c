import { KestConfigError } from '@kest/core'

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
