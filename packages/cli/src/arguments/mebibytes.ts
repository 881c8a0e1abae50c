import { UsageError } from './usage-error.js'

/** Half of what Node.js reads of a file at once. */
const MOST_MEBIBYTES = 1_024

/**
 * The value of an option that is an amount of memory, such as `64`.
 *
 * @returns bytes
 * @throws {UsageError} for anything but a whole number of MiB, from 1 to 1,024
 */
export function parseMebibytes(option: string, value: string): number {
  const mebibytes = /^\d{1,4}$/.test(value) ? Number(value) : Number.NaN
  if (mebibytes >= 1 && mebibytes <= MOST_MEBIBYTES) return mebibytes * 1_048_576
  throw new UsageError(`--${option}: expected MiB, such as 64, up to ${MOST_MEBIBYTES}, got "${value}"`)
}
