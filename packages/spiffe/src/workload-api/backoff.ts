import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'

/** How long to wait before the next attempt. One per thing that is followed. */
export interface Backoff {
  /** Milliseconds; called once per attempt that failed. */
  next(): number
  /** It works again. */
  reset(): void
}

/**
 * Waits that grow by a step up to a bound: 1 s, 2 s, … 30 s.
 *
 * @param options.stepMs default 1,000
 * @param options.maxMs default 30,000
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG` for a number that is not positive
 */
export function createBackoff(options: { readonly stepMs?: number; readonly maxMs?: number } = {}): Backoff {
  assertKnown('createBackoff', options, ['stepMs', 'maxMs'])
  const { stepMs = 1_000, maxMs = 30_000 } = options
  for (const [name, value] of Object.entries({ stepMs, maxMs })) {
    if (Number.isFinite(value) && value > 0) continue
    throw new SpiffeError(
      'ERR_SPIFFE_CONFIG',
      `backoff: ${name}: expected a positive number, got ${String(value)}`,
    )
  }
  let attempts = 0
  return {
    next: () => Math.min(stepMs * ++attempts, maxMs),
    reset: () => {
      attempts = 0
    },
  }
}
