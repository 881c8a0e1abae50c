import { types } from 'node:util'
import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { type KeySource, toKeySources } from '../identity/key-source.js'
import { type Limits, resolveLimits } from '../limits.js'
import type { EffectiveRules } from '../trust/effective-rules.js'
import {
  type IdentityAuthority,
  type IdentityPart,
  toIdentityAuthorities,
} from '../trust/identity-authorities.js'
import { type RootList, type RootRule, toRootList } from '../trust/root-list.js'
import type { SignatureCache } from './signature-cache.js'

/**
 * How much of a passport is verified (K-INGRESS). `full`: all of it. `tip`: everything except the ancestors'
 * signatures. `off`: the form alone; nothing is believed.
 */
export type VerifyMode = 'full' | 'tip' | 'off'

/** How {@link verifyPassport} verifies. */
export interface VerifyOptions {
  /** Whose keys count, asked in order. Without a source nothing can be verified, and everything fails. */
  readonly trust: KeySource | readonly KeySource[]
  readonly limits?: Partial<Limits>
  /** Default `full`. */
  readonly mode?: VerifyMode
  /**
   * Entry hashes that must be, as a set, the tips (K-TIP), or `~` and their digest (K-TIPS). One string may hold several hashes,
   * separated by commas.
   */
  readonly tip?: string | readonly string[]
  /**
   * When certificates must have been valid (K-TIME): each at its `'entry'`'s own time (default), or all at one time,
   * milliseconds since the epoch or a `Date`.
   */
  readonly at?: 'entry' | number | Date
  /** Whether claims that the lineage does not bear out are listed (default) or thrown (K-SEM). */
  readonly semantics?: 'report' | 'enforce'
  /** Principals that may raise trust and remove taints (K-EFF). Default `'any'`. */
  readonly raisers?: 'any' | readonly string[] | ((principal: string) => boolean)
  /** The most trust that a principal's entries can have (K-DOMAIN); `undefined`: no bound. Default: none for anyone. */
  readonly ceilings?: (principal: string) => number | undefined
  /**
   * Who may begin lineage, and what it is worth then (K-ROOTS): a list of `createRootList`, or its rules. Roots of others have
   * trust 0 and the taint `kest.unlisted-root`, and state no identity. Means nothing with `mode: 'tip'`, and is refused. Default:
   * whoever has a key.
   */
  readonly roots?: RootList | readonly RootRule[]
  /**
   * Who may state another identity than the lineage says (K-SWITCH): principals, each for all parts or for some, or a
   * function. Default: nobody. Where there are no `roots`, it says as well whose roots may state one, and then the default
   * is everybody.
   */
  readonly identityAuthorities?:
    | readonly IdentityAuthority[]
    | ((principal: string, part: IdentityPart, root: boolean) => boolean)
  /** Remembers signatures that held (K-CACHE). Default: none. */
  readonly cache?: SignatureCache
  /** Where signatures are verified: on this thread, in the thread pool, or by how many there are (default). */
  readonly threads?: 'auto' | 'inline' | 'pool'
  readonly signal?: AbortSignal
}

/** {@link VerifyOptions}, checked and complete. */
export interface VerifyRules {
  readonly sources: readonly KeySource[]
  readonly limits: Limits
  readonly mode: VerifyMode
  readonly tip: readonly string[] | null
  /** `null`: each entry's own time. */
  readonly at: number | null
  readonly semantics: 'report' | 'enforce'
  readonly effective: EffectiveRules
  readonly cache: SignatureCache | null
  readonly threads: 'auto' | 'inline' | 'pool'
  readonly signal: AbortSignal | null
}

/** Names of the options there are; others are refused, so that a misspelled one does not silently verify less. */
const KNOWN: ReadonlySet<string> = new Set<keyof VerifyOptions>([
  'trust',
  'limits',
  'mode',
  'tip',
  'at',
  'semantics',
  'raisers',
  'ceilings',
  'roots',
  'identityAuthorities',
  'cache',
  'threads',
  'signal',
])

/** @throws {KestConfigError} for options that are unknown or wrong */
export function resolveVerifyOptions(options: VerifyOptions): VerifyRules {
  assertOptions('verify', options, KNOWN)
  return {
    sources: toKeySources('verify: trust', options.trust),
    limits: resolveLimits(options.limits),
    mode: oneOf('mode', options.mode, ['full', 'tip', 'off']),
    tip: tipOf(options.tip),
    at: timeOf(options.at),
    semantics: oneOf('semantics', options.semantics, ['report', 'enforce']),
    effective: {
      mayRaise: raiserRule(options.raisers),
      ceiling: options.ceilings ?? ((): undefined => undefined),
      roots: options.roots === undefined ? null : toRootList(options.roots),
      ...identityRules(options.identityAuthorities, options.roots !== undefined),
    },
    cache: options.cache ?? null,
    threads: oneOf('threads', options.threads, ['auto', 'inline', 'pool']),
    signal: options.signal ?? null,
  }
}

function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly [T, ...T[]]): T {
  if (value === undefined) return choices[0]
  if (choices.includes(value)) return value
  throw new KestConfigError(`verify: ${name}: expected one of ${choices.join(', ')}, got ${String(value)}`)
}

/** @throws {KestConfigError} for what are no hashes */
export function tipOf(tip: VerifyOptions['tip']): readonly string[] | null {
  if (tip === undefined) return null
  const hashes: readonly string[] = typeof tip === 'string' ? (tip === '' ? [] : tip.split(',')) : tip
  if (Array.isArray(hashes) && hashes.every((hash) => typeof hash === 'string')) return hashes
  throw new KestConfigError('verify: tip: expected entry hashes')
}

function timeOf(at: VerifyOptions['at']): number | null {
  if (at === undefined || at === 'entry') return null
  const time = types.isDate(at) ? at.getTime() : at
  if (typeof time === 'number' && Number.isFinite(time)) return time
  throw new KestConfigError(`verify: at: expected 'entry' or a time, got ${String(at)}`)
}

function identityRules(
  authorities: VerifyOptions['identityAuthorities'],
  listed: boolean,
): Pick<EffectiveRules, 'mayBeginIdentity' | 'mayStateIdentity'> {
  if (typeof authorities === 'function') {
    return {
      mayBeginIdentity: (principal, part) => authorities(principal, part, true),
      mayStateIdentity: (principal, part) => authorities(principal, part, false),
    }
  }
  const named = toIdentityAuthorities('verify: identityAuthorities', authorities)
  const may = (principal: string, part: IdentityPart): boolean => named?.get(principal)?.has(part) === true
  return { mayBeginIdentity: listed || named === null ? () => true : may, mayStateIdentity: may }
}

function raiserRule(raisers: VerifyOptions['raisers']): (principal: string) => boolean {
  if (raisers === undefined || raisers === 'any') return () => true
  if (typeof raisers === 'function') return raisers
  if (!Array.isArray(raisers))
    throw new KestConfigError("verify: raisers: expected 'any', principals or a function")
  const names: ReadonlySet<string> = new Set(raisers)
  return (principal) => names.has(principal)
}
