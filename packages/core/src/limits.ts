import { KestConfigError } from './errors.js'

/**
 * Bounds on what a stranger may make us do (K-LIMIT). Each is checked before the work that it bounds.
 *
 * A passport that comes in a header is also held to what a header can hold: an honest one of 8 KB of header has some 28
 * entries and 90 KB at most. Those of `header…` never widen the others: the smaller of two counts.
 */
export interface Limits {
  /** Entries in a passport. Default 256. */
  readonly entries: number
  /** Bytes of one entry's compact string. Default 32,768, so that one with 255 parents fits (K-TIPS). */
  readonly entryBytes: number
  /** Bytes of a passport's JSON, after decompression. Default 1,048,576. */
  readonly passportBytes: number
  /** Entries in a passport that comes in a header, not by claim check. Default 64. */
  readonly headerEntries: number
  /** Bytes of one entry of such a passport. Default 16,384. */
  readonly headerEntryBytes: number
  /** Bytes of such a passport's JSON, after decompression. Default 98,304. */
  readonly headerPassportBytes: number
  /** Nesting of a payload. Default 64. */
  readonly nesting: number
  /** Certificates in one entry. Default 4. */
  readonly certificates: number
  /** RSA modulus, bits. Default 2048. */
  readonly rsaMinBits: number
  /** RSA modulus, bits. Default 4096. */
  readonly rsaMaxBits: number
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  entries: 256,
  entryBytes: 32_768,
  passportBytes: 1_048_576,
  headerEntries: 64,
  headerEntryBytes: 16_384,
  headerPassportBytes: 98_304,
  nesting: 64,
  certificates: 4,
  rsaMinBits: 2048,
  rsaMaxBits: 4096,
})

/** What came out here before: it is asked for again with every request. */
const resolved = new WeakSet<Partial<Limits>>([DEFAULT_LIMITS])

/**
 * Fills in the defaults.
 * @throws {KestConfigError} for an unknown limit or one that is not a positive safe integer.
 */
export function resolveLimits(limits: Partial<Limits> = DEFAULT_LIMITS): Limits {
  if (resolved.has(limits)) return limits as Limits
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      const known = Object.keys(DEFAULT_LIMITS).join(', ')
      throw new KestConfigError(`limits: unknown limit "${name}"; there are: ${known}`)
    }
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw new KestConfigError(`limits.${name}: expected a positive integer, got ${String(value)}`)
    }
  }
  const whole = Object.freeze({ ...DEFAULT_LIMITS, ...limits })
  resolved.add(whole)
  return whole
}

const ofHeaders = new WeakMap<Limits, Limits>()

/** The bounds on a passport that comes in a header, in place of those on any passport. */
export function headerLimits(limits: Limits): Limits {
  const known = ofHeaders.get(limits)
  if (known !== undefined) return known
  const narrowed = resolveLimits({
    ...limits,
    entries: Math.min(limits.entries, limits.headerEntries),
    entryBytes: Math.min(limits.entryBytes, limits.headerEntryBytes),
    passportBytes: Math.min(limits.passportBytes, limits.headerPassportBytes),
  })
  ofHeaders.set(limits, narrowed)
  return narrowed
}
