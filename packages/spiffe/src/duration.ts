import { SpiffeError } from './errors.js'

/** A longer one overflows a timer, which then fires at once. */
export const LONGEST_TIMER_MS = 0x7fffffff

/** @throws {SpiffeError} `ERR_SPIFFE_CONFIG` for what a timer cannot wait for */
export function assertDuration(name: string, value: unknown): void {
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMER_MS) return
  throw new SpiffeError(
    'ERR_SPIFFE_CONFIG',
    `${name}: expected milliseconds, more than 0 and up to ${LONGEST_TIMER_MS}, got ${String(value)}`,
  )
}
