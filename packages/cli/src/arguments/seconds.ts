import { UsageError } from './usage-error.js'

/** Of a timer. */
const MOST_SECONDS = 2_147_483

/**
 * The value of an option that is a time in seconds, such as `30` or `0.5`.
 *
 * @returns milliseconds
 * @throws {UsageError} for anything else
 */
export function parseSeconds(option: string, value: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : Number.NaN
  if (seconds > 0 && seconds <= MOST_SECONDS) return seconds * 1000
  throw new UsageError(`--${option}: expected seconds, such as 30, got "${value}"`)
}
