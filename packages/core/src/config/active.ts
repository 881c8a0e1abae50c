import { KestConfigError } from '../errors.js'
import type { OperationOptions } from '../hook/operation-options.js'
import { type VerifiedDecorator, type VerifiedFunction, verifiedWith } from '../hook/verified.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { CacheProvider } from '../propagation/cache.js'
import { stderrLogger } from '../telemetry/logger.js'
import { createKest, type Kest } from './kest.js'
import type { KestOptions } from './options.js'

/** One per process: adapters may bring a copy of this package of their own. */
const ACTIVE = Symbol.for('kest.active.1')
const slot = globalThis as Record<symbol, unknown>

/**
 * Makes the default instance (F-GC-01), which everything uses that was not given another. A later call replaces it for
 * what begins after, with its engine, which decides all tiers; that is logged as a warning.
 * @throws {KestConfigError} as {@link createKest}
 */
export function configure(options: KestOptions): Kest {
  const kest = createKest(options)
  if (slot[ACTIVE] !== undefined) {
    const logger = options.logger ?? stderrLogger
    logger.warn({}, 'CONFIGURED AGAIN: what decided and signed so far is replaced, for what begins after')
  }
  slot[ACTIVE] = kest
  return kest
}

/** @throws {KestConfigError} when {@link configure} was not called (F-GC-04) */
export function getActiveKest(): Kest {
  const kest = slot[ACTIVE] as Kest | undefined
  if (kest === undefined)
    throw new KestConfigError('Kest is not configured: call configure({ identity, engine, trust })')
  return kest
}

/** @throws {KestConfigError} when there is none */
export function getActiveEngine(): PolicyEngine {
  return required(getActiveKest().engine, 'engine')
}

/** @throws {KestConfigError} when there is none */
export function getActiveIdentity(): IdentityProvider {
  return required(getActiveKest().identity, 'identity')
}

/** @throws {KestConfigError} when there is none */
export function getActiveCache(): CacheProvider {
  return required(getActiveKest().cache, 'cache')
}

/**
 * Protects a function, or as a decorator a class method: each call is authorized and recorded before it runs, and
 * always answers a promise. Uses the default instance, as it is at the time of the call.
 *
 * @throws {KestConfigError} for options that are missing, unknown or wrong, and at a method that was compiled with legacy decorators
 *   (`experimentalDecorators`); {@link TypeError} for a generator, and for what is no function. The wrapped function rejects as {@link Kest.begin} does, or as the function itself.
 *
 * @example
 * ```ts
 * const pay = verified({ operation: 'payments.charge', policy: 'payments/charge' }, async (order: Order) => charge(order))
 *
 * class Payments {
 *   \@verified({ operation: 'payments.refund', policy: 'payments/refund', user: (order: Order) => order.customer })
 *   async refund(order: Order) { … }
 * }
 * ```
 */
export function verified<This, Args extends unknown[], Result>(
  options: OperationOptions<NoInfer<Args>>,
  fn: (this: This, ...args: Args) => Result,
): VerifiedFunction<This, Args, Result>
export function verified<Args extends unknown[]>(options: OperationOptions<Args>): VerifiedDecorator<Args>
export function verified<Args extends unknown[]>(
  options: OperationOptions<Args>,
  fn?: (...args: Args) => unknown,
): unknown {
  const wrap = verifiedWith(getActiveKest, options)
  return fn === undefined ? wrap : wrap(fn)
}

function required<T>(part: T | null, name: string): T {
  if (part === null) throw new KestConfigError(`no ${name} is configured: configure({ ${name} })`)
  return part
}
