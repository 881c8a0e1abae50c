import { type Clock, systemClock } from '../clock.js'
import { KestConfigError } from '../errors.js'
import { type Limits, resolveLimits } from '../limits.js'
import { MAX_HEADER_LENGTH, MAX_INBOUND_LENGTH, MAX_MEMBER_LENGTH } from './baggage-names.js'
import type { CacheProvider } from './cache.js'

/** How passports travel. What an operator may leave out has the defaults named here. */
export interface PropagationOptions {
  /** Characters of one encoded `key=value`. Default 4096, what OpenTelemetry propagators keep (K-SIZE). */
  readonly maxMemberLength?: number | undefined
  /** Characters of the whole outgoing header, members of others included. Default 8192 (K-SIZE). */
  readonly maxHeaderLength?: number | undefined
  /** Characters of all inbound `baggage` lines together. Default 16,384. */
  readonly maxInboundLength?: number | undefined
  /** `auto` (default): the first tier that fits. `compressed`: never tier 1 (K-RAW). */
  readonly encoding?: 'auto' | 'compressed' | undefined
  /**
   * Part of the cache keys, so that several systems can share a cache: letters, digits, `.`, `_` and `-`, at most 64.
   * Services that exchange claim checks must agree on it. Default `default`.
   */
  readonly namespace?: string | undefined
  /** Where passports wait that fit no header. Default none: such a request is not sent. */
  readonly cache?: CacheProvider | null | undefined
  /** How long a stored passport may be fetched. Default 3,600,000, the default `maxAge` of ingress (K-CLAIM). */
  readonly claimTtlMs?: number | undefined
  /** How long the cache may take to answer. Default 1000. */
  readonly cacheTimeoutMs?: number | undefined
  readonly limits?: Partial<Limits> | undefined
  readonly clock?: Clock | undefined
}

/** {@link PropagationOptions} with its defaults filled in. */
export interface ResolvedPropagation {
  readonly maxMemberLength: number
  readonly maxHeaderLength: number
  readonly maxInboundLength: number
  readonly encoding: 'auto' | 'compressed'
  readonly namespace: string
  readonly cache: CacheProvider | null
  readonly claimTtlMs: number
  readonly cacheTimeoutMs: number
  readonly limits: Limits
  readonly clock: Clock
}

/** Whatever it holds, `kest:<namespace>:<uuid>` is read back in one way only. */
const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/**
 * Checks the options and fills in the defaults.
 * @throws {KestConfigError} for an unknown option or a value that it may not have
 */
export function resolvePropagation(config: PropagationOptions = {}): ResolvedPropagation {
  const {
    maxMemberLength = MAX_MEMBER_LENGTH,
    maxHeaderLength = MAX_HEADER_LENGTH,
    maxInboundLength = MAX_INBOUND_LENGTH,
    encoding = 'auto',
    namespace = 'default',
    cache = null,
    claimTtlMs = 3_600_000,
    cacheTimeoutMs = 1000,
    limits,
    clock = systemClock,
    ...unknown
  } = config
  for (const name of Object.keys(unknown)) throw new KestConfigError(`propagation: unknown option "${name}"`)
  assertPositive({ maxMemberLength, maxHeaderLength, maxInboundLength, claimTtlMs, cacheTimeoutMs })
  // A longer delay overflows a timer, which then fires at once.
  if (cacheTimeoutMs > 0x7fffffff)
    throw new KestConfigError('propagation.cacheTimeoutMs: too long for a timer')
  if (encoding !== 'auto' && encoding !== 'compressed') {
    throw new KestConfigError(
      `propagation.encoding: expected 'auto' or 'compressed', got ${String(encoding)}`,
    )
  }
  if (typeof namespace !== 'string' || !NAMESPACE.test(namespace)) {
    throw new KestConfigError(
      `propagation.namespace: expected 1 to 64 letters, digits, ".", "_" or "-", got ${JSON.stringify(namespace)}`,
    )
  }
  if (cache !== null && (typeof cache?.get !== 'function' || typeof cache.setIfAbsent !== 'function')) {
    throw new KestConfigError('propagation.cache: expected an object with get and setIfAbsent')
  }
  return Object.freeze({
    maxMemberLength,
    maxHeaderLength,
    maxInboundLength,
    encoding,
    namespace,
    cache,
    claimTtlMs,
    cacheTimeoutMs,
    limits: resolveLimits(limits),
    clock,
  })
}

function assertPositive(values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw new KestConfigError(`propagation.${name}: expected a positive integer, got ${String(value)}`)
    }
  }
}
