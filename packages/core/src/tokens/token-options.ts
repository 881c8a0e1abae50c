import type { CryptoKey, JSONWebKeySet, JWK, KeyObject } from 'jose'
import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import type { ClaimMapping, ClaimMappings, Delegation } from './claims.js'

/** Algorithms that a token may be signed with: asymmetric ones, so that whoever verifies cannot sign. */
export const TOKEN_ALGORITHMS = Object.freeze([
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const)
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number]

/** What verified and decoded tokens have in common. */
interface CommonTokenOptions {
  /** Refuse requests without a token. Default `false`: without one there is no identity from a token. */
  readonly required?: boolean | undefined
  /** Which claims say who acts (F-IC-05). Default `{ user: 'sub', agent: 'client_id', task: 'scope' }`. */
  readonly claims?: ClaimMappings | undefined
  /** How `act` is read (K-ACT). Default `rfc8693`. */
  readonly delegation?: Delegation | undefined
  /** Longest token that is looked at, in bytes. Default 8192. */
  readonly maxTokenBytes?: number | undefined
}

/** How bearer tokens are verified. */
export interface VerifiedTokenOptions extends CommonTokenOptions {
  /**
   * The issuer's public keys: the https URL of its JWKS (http on loopback only), a JWKS, or one key. Default: where the
   * metadata of `issuer` say (OpenID Connect Discovery, RFC 8414).
   *
   * They are fetched on first use and kept for `jwksMaxAgeMs`; an unknown `kid` has them fetched again, at most once per
   * `jwksCooldownMs` in vain. While they cannot be fetched, those that there are serve until `jwksMaxStaleMs`.
   */
  readonly jwks?: string | URL | JSONWebKeySet | JWK | KeyObject | CryptoKey | undefined
  /**
   * Accepted `iss`, exactly. Without `jwks` it is one, and the URL of its metadata. Subjects of several issuers share one
   * name space unless `claims.user` says otherwise.
   */
  readonly issuer: string | readonly [string, ...string[]]
  /** Who we are in `aud`; a token for somebody else is refused. */
  readonly audience: string | readonly [string, ...string[]]
  /** Default: every asymmetric one of RFC 7518 and RFC 8037. The key narrows it further. */
  readonly algorithms?: readonly [TokenAlgorithm, ...TokenAlgorithm[]] | undefined
  /**
   * Accepted `typ` of the header, without `application/` and in any case. Default: `at+jwt` (RFC 9068), `JWT`, or no
   * `typ` at all. When given, `typ` must be there: `['at+jwt']` keeps ID tokens out.
   */
  readonly types?: readonly [string, ...string[]] | undefined
  /** How far clocks may differ when `exp` and `nbf` are judged. Default 0. */
  readonly clockToleranceMs?: number | undefined
  /**
   * How many tokens that were verified are remembered, by their SHA-256, so that the same one is not verified again: until it
   * expires, or the issuer's keys change. Default 1000; 0 for none.
   */
  readonly maxRemembered?: number | undefined
  /** Longest wait for the JWKS, and for the metadata. Default 5000. */
  readonly jwksTimeoutMs?: number | undefined
  /** The least time between two fetches that were in vain. Default 30,000. */
  readonly jwksCooldownMs?: number | undefined
  /** How long keys are used without asking again. Default 600,000. */
  readonly jwksMaxAgeMs?: number | undefined
  /**
   * How long keys are used, counted from when they were fetched, while asking again fails. A clock that is set back makes no
   * key younger. Default 3,600,000, or `jwksMaxAgeMs` where that is more.
   */
  readonly jwksMaxStaleMs?: number | undefined
  /** What fetches keys and metadata, for proxies and private authorities. Default: the global one. */
  readonly fetch?: typeof fetch | undefined
  readonly insecureDecode?: false | undefined
}

/** How bearer tokens are read *without* being verified. For development; refused with `NODE_ENV=production`. */
export interface InsecureTokenOptions extends CommonTokenOptions {
  /** Whoever sends a request says who he is. */
  readonly insecureDecode: true
}

export type TokenOptions = VerifiedTokenOptions | InsecureTokenOptions

/** Token options with their defaults, all of them checked. `verify: null` is the insecure form. */
export interface ResolvedTokenOptions {
  readonly required: boolean
  readonly claims: ClaimMappings
  readonly delegation: Delegation
  readonly maxTokenBytes: number
  readonly verify: ResolvedVerification | null
}

/** How tokens are verified, with the defaults. */
export interface ResolvedVerification {
  /** `null`: as the issuer's metadata say. */
  readonly jwks: NonNullable<VerifiedTokenOptions['jwks']> | null
  readonly issuer: string[]
  readonly audience: string[]
  readonly algorithms: string[]
  /** Lower case; `null`: the default. */
  readonly types: ReadonlySet<string> | null
  readonly clockToleranceMs: number
  readonly maxRemembered: number
  readonly jwksTimeoutMs: number
  readonly jwksCooldownMs: number
  readonly jwksMaxAgeMs: number
  readonly jwksMaxStaleMs: number
  readonly fetch: typeof fetch
}

const COMMON = ['required', 'claims', 'delegation', 'maxTokenBytes', 'insecureDecode'] as const
const VERIFY = [
  'jwks',
  'issuer',
  'audience',
  'algorithms',
  'types',
  'clockToleranceMs',
  'maxRemembered',
  'jwksTimeoutMs',
  'jwksCooldownMs',
  'jwksMaxAgeMs',
  'jwksMaxStaleMs',
  'fetch',
] as const

/** @throws {KestConfigError} for an option that is missing, unknown or wrong. */
export function resolveTokenOptions(options: TokenOptions): ResolvedTokenOptions {
  assertOptions('token', options, [...COMMON, ...VERIFY])
  const given: Readonly<Record<string, unknown>> = { ...options }
  const { required = false, delegation = 'rfc8693', insecureDecode = false } = options
  if (typeof required !== 'boolean') throw invalid('required', 'a boolean')
  if (typeof insecureDecode !== 'boolean') throw invalid('insecureDecode', 'a boolean')
  if (delegation !== 'rfc8693' && delegation !== 'reversed') {
    throw invalid('delegation', '"rfc8693" or "reversed"')
  }
  const common = {
    required,
    delegation,
    claims: claims(options.claims),
    maxTokenBytes: integer(given, 'maxTokenBytes', 8192, 1),
  }
  if (insecureDecode) {
    const extra = VERIFY.find((name) => given[name] !== undefined)
    if (extra !== undefined) throw new KestConfigError(`token.${extra}: means nothing beside insecureDecode`)
    return Object.freeze({ ...common, verify: null })
  }
  const {
    jwks,
    issuer,
    audience,
    algorithms = TOKEN_ALGORITHMS,
    types,
    fetch = (...args) => globalThis.fetch(...args),
  } = options as VerifiedTokenOptions
  if (jwks === null) throw invalid('jwks', 'the URL of a JWKS, a JWKS, or a public key')
  if (typeof fetch !== 'function') throw invalid('fetch', 'a function')
  const jwksMaxAgeMs = integer(given, 'jwksMaxAgeMs', 600_000, 0)
  const verify = {
    jwks: jwks ?? null,
    issuer: names(issuer, 'issuer'),
    audience: names(audience, 'audience'),
    algorithms: names(algorithms, 'algorithms'),
    types: types === undefined ? null : new Set(names(types, 'types').map(normalizeType)),
    clockToleranceMs: integer(given, 'clockToleranceMs', 0, 0),
    maxRemembered: integer(given, 'maxRemembered', 1000, 0),
    jwksTimeoutMs: integer(given, 'jwksTimeoutMs', 5000, 1),
    jwksCooldownMs: integer(given, 'jwksCooldownMs', 30_000, 0),
    jwksMaxAgeMs,
    jwksMaxStaleMs: integer(given, 'jwksMaxStaleMs', Math.max(3_600_000, jwksMaxAgeMs), jwksMaxAgeMs),
    fetch,
  }
  const unfit = verify.algorithms.find((name) => !(TOKEN_ALGORITHMS as readonly string[]).includes(name))
  if (unfit !== undefined) {
    throw new KestConfigError(`token.algorithms: "${unfit}" is not one of ${TOKEN_ALGORITHMS.join(', ')}`)
  }
  return Object.freeze({ ...common, verify: Object.freeze(verify) })
}

/** `typ` values compare in lower case and without `application/` (RFC 7515 §4.1.9). */
export function normalizeType(type: string): string {
  return type.toLowerCase().replace(/^application\//, '')
}

function claims(value: unknown = {}): ClaimMappings {
  if (!isRecord(value)) throw invalid('claims', 'an object')
  for (const [part, mapping] of Object.entries(value)) {
    if (part !== 'user' && part !== 'agent' && part !== 'task') {
      throw new KestConfigError(`token.claims: unknown part "${part}"`)
    }
    if (!isMapping(mapping)) throw invalid(`claims.${part}`, 'the name of a claim, a function, or null')
  }
  return Object.freeze({ ...value })
}

function isMapping(value: unknown): value is ClaimMapping | undefined {
  return (
    value === undefined ||
    value === null ||
    typeof value === 'function' ||
    (typeof value === 'string' && value !== '')
  )
}

function names(value: unknown, option: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0 || !list.every((name) => typeof name === 'string' && name !== '')) {
    throw invalid(option, 'a non-empty string, or a non-empty list of them')
  }
  return list as string[]
}

function integer(
  given: Readonly<Record<string, unknown>>,
  option: string,
  fallback: number,
  min: number,
): number {
  const value = given[option] ?? fallback
  if (!Number.isSafeInteger(value) || (value as number) < min) {
    throw invalid(option, `an integer of at least ${min}`)
  }
  return value as number
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`token.${option}: expected ${expected}`)
}
