import {
  KestConfigError,
  type KeySource,
  type Limits,
  resolveLimits,
  toRootList,
  type VerifyOptions,
} from '@kest/core'

/** How traces are judged. */
export interface JudgeOptions
  extends Pick<VerifyOptions, 'raisers' | 'ceilings' | 'roots' | 'identityAuthorities'> {
  /** Whose keys count (K-ANCHOR): nothing in an export is believed about them. */
  readonly trust: KeySource | readonly KeySource[]
  /** Bounds on one entry and one passport (K-LIMIT). */
  readonly limits?: Partial<Limits>
  /** When certificates must have been valid: each at its entry's own time (default), or all at one. */
  readonly at?: VerifyOptions['at']
  /**
   * How much later than an entry states its span may be received, milliseconds. Later ones are a finding `time`: who has
   * an old key can state an old time. Default 3,600,000.
   */
  readonly maxDelayMs?: number
  /** The present, for entries that no witness received; milliseconds since the epoch. Default: that of the audit. */
  readonly now?: number
}

/** {@link JudgeOptions}, checked and complete. */
export interface JudgeRules {
  readonly verify: Pick<
    VerifyOptions,
    'trust' | 'limits' | 'at' | 'raisers' | 'ceilings' | 'roots' | 'identityAuthorities' | 'threads' | 'cache'
  >
  readonly limits: Limits
  readonly maxDelayMs: number
  readonly now: number
}

/** @throws {KestConfigError} for wrong options */
export function resolveJudgeOptions(options: JudgeOptions): JudgeRules {
  const { trust, limits, at, raisers, ceilings, roots, identityAuthorities } = options
  const { maxDelayMs = 3_600_000, now = Date.now() } = options
  for (const [name, value] of Object.entries({ maxDelayMs, now })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new KestConfigError(`audit: ${name}: expected milliseconds, got ${String(value)}`)
  }
  return {
    verify: {
      trust,
      threads: 'pool',
      ...(limits === undefined ? {} : { limits }),
      ...(at === undefined ? {} : { at }),
      ...(raisers === undefined ? {} : { raisers }),
      ...(ceilings === undefined ? {} : { ceilings }),
      ...(roots === undefined ? {} : { roots: toRootList(roots) }),
      ...(identityAuthorities === undefined ? {} : { identityAuthorities }),
    },
    limits: resolveLimits(limits),
    maxDelayMs,
    now,
  }
}
