import { assertOptions } from '../assert-options.js'
import type { ReplayStore } from '../binding/replay-store.js'
import { KestConfigError } from '../errors.js'

/** How tokens that are bound to a key are taken (DPoP, RFC 9449). */
export interface DpopOptions {
  /**
   * Where clients call this service: `https://api.example.org`, with the path that a proxy takes off, if it does. A proof for
   * anywhere else is refused; neither `Host` nor any forwarded header is asked.
   */
  readonly origins: string | readonly [string, ...string[]]
  /** Whether a token that is bound to no key is refused. Default `true`. */
  readonly required?: boolean | undefined
  /** How old a proof may be, milliseconds, beside `clockToleranceMs`. Default 60,000. */
  readonly maxAgeMs?: number | undefined
  /**
   * Remembers which proofs were used: anything with the `setIfAbsent` of a `CacheProvider`. Default: this process's memory.
   * Several instances behind one origin must share one, or a proof can be used once at each.
   */
  readonly replayStore?: ReplayStore | undefined
}

/** With the defaults. */
export interface ResolvedDpop {
  /** Without a slash at the end. */
  readonly origins: readonly string[]
  readonly required: boolean
  readonly maxAgeMs: number
  readonly replayStore: ReplayStore | null
}

/** @throws {KestConfigError} for an option that is missing, unknown or wrong */
export function resolveDpop(options: DpopOptions): ResolvedDpop {
  assertOptions('token.dpop', options, ['origins', 'required', 'maxAgeMs', 'replayStore'])
  const { origins, required = true, maxAgeMs = 60_000, replayStore = null } = options
  if (typeof required !== 'boolean') throw invalid('required', 'a boolean')
  if (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < 1) throw invalid('maxAgeMs', 'a positive integer')
  if (replayStore !== null && typeof replayStore?.setIfAbsent !== 'function')
    throw invalid('replayStore', 'an object with setIfAbsent')
  const list: readonly unknown[] = Array.isArray(origins) ? origins : [origins]
  if (list.length === 0) throw invalid('origins', 'where clients call this service')
  return Object.freeze({ origins: list.map(toOrigin), required, maxAgeMs, replayStore })
}

function toOrigin(value: unknown): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null
  if (url === null || !['https:', 'http:'].includes(url.protocol) || url.search !== '' || url.hash !== '')
    throw invalid('origins', 'URLs without query and fragment, such as "https://api.example.org"')
  return url.origin + url.pathname.replace(/\/$/, '')
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`token.dpop.${option}: expected ${expected}`)
}
