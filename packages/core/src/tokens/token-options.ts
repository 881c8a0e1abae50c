import type { CryptoKey, JSONWebKeySet, JWK, KeyObject } from 'jose'
import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { AUTHORIZATION } from './bearer.js'
import type { ClaimMapping, ClaimMappings, Delegation } from './claims.js'
import { type DpopOptions, type ResolvedDpop, resolveDpop } from './dpop-options.js'
import {
  type IntrospectionOptions,
  type ResolvedIntrospection,
  resolveIntrospection,
} from './introspection-options.js'
import { issuerUrl } from './issuer-metadata.js'

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
  /**
   * The header that the token is in. Default `Authorization`, as `Bearer`. In any other it stands by itself. `Txn-Token` is that
   * of OAuth Transaction Tokens: of type `txntoken+jwt`, unless `types` says otherwise, and its `txn`, which it must have, is
   * signed into each entry as the label `kest.txn`.
   */
  readonly header?: string | undefined
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
  /**
   * Asks the issuer about each token, for those that say nothing by themselves, or can be revoked (RFC 7662); instead of its
   * keys. Default: tokens are JWTs, and its keys verify them.
   */
  readonly introspection?: IntrospectionOptions | undefined
  /** Default: every asymmetric one of RFC 7518 and RFC 8037. The key narrows it further. */
  readonly algorithms?: readonly [TokenAlgorithm, ...TokenAlgorithm[]] | undefined
  /**
   * Accepted `typ` of the header, without `application/` and in any case. Default: `at+jwt` (RFC 9068), `JWT`, or no
   * `typ` at all. When given, `typ` must be there: `['at+jwt']` keeps ID tokens out.
   */
  readonly types?: readonly [string, ...string[]] | undefined
  /**
   * Takes `Authorization: DPoP` (RFC 9449). Without it a token that is bound to a key by `cnf.jkt` is refused, for it would be
   * good for whoever has seen it. Default: not taken.
   */
  readonly dpop?: DpopOptions | undefined
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
  /** In lower case. */
  readonly header: string
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
  readonly introspection: ResolvedIntrospection | null
  readonly dpop: ResolvedDpop | null
  readonly clockToleranceMs: number
  readonly maxRemembered: number
  readonly jwksTimeoutMs: number
  readonly jwksCooldownMs: number
  readonly jwksMaxAgeMs: number
  readonly jwksMaxStaleMs: number
  readonly fetch: typeof fetch
}

const COMMON = ['required', 'claims', 'delegation', 'maxTokenBytes', 'header', 'insecureDecode'] as const
const VERIFY = [
  'jwks',
  'issuer',
  'audience',
  'algorithms',
  'types',
  'introspection',
  'dpop',
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
    header: headerName(options.header),
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
    dpop,
    introspection,
    fetch = (...args) => globalThis.fetch(...args),
  } = options as VerifiedTokenOptions
  if (jwks === null) throw invalid('jwks', 'the URL of a JWKS, a JWKS, or a public key')
  if (typeof fetch !== 'function') throw invalid('fetch', 'a function')
  if (dpop !== undefined && common.header !== AUTHORIZATION)
    throw new KestConfigError(`token.dpop: means nothing beside header "${common.header}" (RFC 9449 §7.1)`)
  const jwksMaxAgeMs = integer(given, 'jwksMaxAgeMs', 600_000, 0)
  const verify = {
    jwks: jwks ?? null,
    issuer: names(issuer, 'issuer'),
    audience: names(audience, 'audience'),
    algorithms: names(algorithms, 'algorithms'),
    types: types === undefined ? typesIn(common.header) : new Set(names(types, 'types').map(normalizeType)),
    introspection: introspection === undefined ? null : asked(given, introspection),
    dpop: dpop === undefined ? null : resolveDpop(dpop),
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

const OF_KEYS = [
  'jwks',
  'algorithms',
  'types',
  'jwksTimeoutMs',
  'jwksCooldownMs',
  'jwksMaxAgeMs',
  'jwksMaxStaleMs',
] as const

function asked(
  given: Readonly<Record<string, unknown>>,
  introspection: IntrospectionOptions,
): ResolvedIntrospection {
  const idle = OF_KEYS.find((name) => given[name] !== undefined)
  if (idle !== undefined) throw new KestConfigError(`token.${idle}: means nothing beside introspection`)
  const resolved = resolveIntrospection(introspection)
  const [issuer = '', another] = names(given['issuer'], 'issuer')
  if (another !== undefined)
    throw new KestConfigError(
      'token.issuer: one issuer is asked about tokens; list the others as tokens of their own',
    )
  if (resolved.url === null) issuerUrl(issuer)
  return resolved
}

/** The header of OAuth Transaction Tokens. */
export const TXN_TOKEN = 'txn-token'

function headerName(value: unknown = AUTHORIZATION): string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(value))
    throw invalid('header', 'the name of a header')
  return value.toLowerCase()
}

function typesIn(header: string): ReadonlySet<string> | null {
  return header === TXN_TOKEN ? new Set(['txntoken+jwt']) : null
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
