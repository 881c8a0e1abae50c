/**
 * Every failure of Kest is a {@link KestError} with a code out of a closed set. The code decides the HTTP status
 * with which an adapter answers; messages are for operators, and no adapter sends them to a client.
 */

/** Code → HTTP status that an adapter answers with. The one place where codes are declared. */
const STATUS = {
  /** Kest is not, or wrongly, configured. */
  ERR_KEST_CONFIG: 500,
  /** A value cannot be written as RFC 8785 JSON (lone surrogate, NaN, bigint, cycle, …). */
  ERR_KEST_NOT_JSON: 500,
  /** The passport fits no tier and no cache is configured, or the caller's own headers leave no room (K-SIZE). */
  ERR_KEST_TOO_LARGE: 500,
  /** An outgoing request cannot be judged: its origin is unknown (K-SCOPE). */
  ERR_KEST_OUTBOUND: 500,
  /** The request or operation in whose state this runs is over (K-STATE). */
  ERR_KEST_STATE_ENDED: 500,
  /** The evidence file is not of the form of SPEC §9.1. */
  ERR_KEST_EVIDENCE: 400,

  /** What was called has not shown that it recorded the request (K-RECEIPT). It may have acted all the same. */
  ERR_KEST_RECEIPT: 502,

  /** The workload has no identity now, or signing failed. */
  ERR_KEST_IDENTITY: 503,
  /** The policy engine threw or could not be reached. */
  ERR_KEST_ENGINE: 503,
  /** The policy engine did not answer in time. */
  ERR_KEST_ENGINE_TIMEOUT: 503,
  /** The policy engine answered something that is not a decision. */
  ERR_KEST_ENGINE_ANSWER: 503,
  /** A policy that is only observed was not asked, as too much of that is under way (K-OBSERVE). It refuses nothing. */
  ERR_KEST_NOT_ASKED: 503,
  /** The cache failed: of claim checks, or of the hop tokens that were used. */
  ERR_KEST_CACHE: 503,
  /** A key source (JWKS, bundle, keys for pseudonyms) could not be reached, so that nothing can be said about a signature or token. */
  ERR_KEST_KEYS_UNAVAILABLE: 503,
  /** The audit trail cannot keep the record of the operation, and is set up to refuse it rather than lose it. */
  ERR_KEST_AUDIT_UNAVAILABLE: 503,
  /** The caller went away, or aborted, before the operation ran. */
  ERR_KEST_ABORTED: 503,

  /** A policy said no. */
  ERR_KEST_DENIED: 403,
  /** No lineage where lineage is required (K-ROOT). */
  ERR_KEST_LINEAGE_MISSING: 403,
  /** The `baggage` header, or a `kest.*` member of it, is malformed, doubled or misspelled (K-ONE). */
  ERR_KEST_BAGGAGE: 400,
  /** The claim check names nothing, or nothing any more (K-CLAIM). */
  ERR_KEST_CLAIM_UNKNOWN: 403,
  /** A bound of K-LIMIT is exceeded. */
  ERR_KEST_LIMIT: 400,

  /** Not an array of strings. */
  ERR_KEST_PASSPORT_MALFORMED: 400,
  /** Not three strict base64url segments, not UTF-8, not JSON. */
  ERR_KEST_ENTRY_MALFORMED: 400,
  /** The protected header is not one this protocol allows. */
  ERR_KEST_ENTRY_HEADER: 400,
  /** The payload is not its own RFC 8785 form. */
  ERR_KEST_ENTRY_NOT_CANONICAL: 400,
  /** A field is absent or of the wrong type. */
  ERR_KEST_ENTRY_SCHEMA: 400,

  /** The algorithm is not allowed, or is not the key's. */
  ERR_KEST_ALG: 403,
  /** No trust material holds a key for the principal. */
  ERR_KEST_KEY_UNKNOWN: 403,
  /** The signature does not hold. */
  ERR_KEST_SIGNATURE: 403,
  /** The entry carries certificates and no source of X.509 trust is configured. */
  ERR_KEST_CERTIFICATE_UNSUPPORTED: 403,
  /** The certificates do not lead from the principal to a trust anchor at the time in question. */
  ERR_KEST_CERTIFICATE: 403,
  /** A parent is not an earlier entry of the passport. */
  ERR_KEST_PARENT_UNKNOWN: 403,
  /** An entry or an entry_id occurs twice (K-ONCE). */
  ERR_KEST_DUPLICATE: 403,
  /** The tips are not those claimed, or a tip came without its passport (K-TIP). */
  ERR_KEST_TIP: 403,
  /** An entry's time contradicts its parents' (K-TIME). */
  ERR_KEST_TIME: 403,
  /** Too old, or ahead of our clock (K-FRESH). */
  ERR_KEST_FRESHNESS: 403,
  /** Two trace ids in one passport (K-TRACE). */
  ERR_KEST_TRACE: 403,
  /**
   * Tips, baggage or token disagree on who acts, or a principal may not say so (K-IDENT, K-SWITCH); or there is no key to name or
   * compare somebody by (K-PSEUDONYM).
   */
  ERR_KEST_IDENTITY_CONFLICT: 403,
  /** The sender does not show that the passport is his to send (K-HOP). */
  ERR_KEST_BINDING: 403,
  /** A principal of a trust domain that the operator did not list (K-DOMAIN). */
  ERR_KEST_DOMAIN: 403,
  /** An entry claims more trust than its lineage gives (K-EFF, `semantics: 'enforce'`). */
  ERR_KEST_TRUST_RAISED: 403,
  /** An entry drops a taint it may not drop (K-EFF, `semantics: 'enforce'`). */
  ERR_KEST_TAINT_DROPPED: 403,
  /** Lineage begun by a principal that the list of roots does not have (K-ROOTS). */
  ERR_KEST_ROOT: 403,
  /** The bearer token is absent where required, malformed, expired, or not for us. */
  ERR_KEST_TOKEN: 401,
} as const

/** The closed set of error codes. */
export type KestErrorCode = keyof typeof STATUS

/** All codes, for documentation and tests. */
export const KEST_ERROR_CODES: readonly KestErrorCode[] = Object.freeze(
  Object.keys(STATUS),
) as readonly KestErrorCode[]

/** By which a class knows its errors: not its name, which minifiers change, nor its prototype, of which copies have their own. */
const BRANDS = new WeakMap<object, symbol>()

function brand(type: { readonly prototype: KestError }, symbol: symbol): void {
  BRANDS.set(type, symbol)
  Object.defineProperty(type.prototype, symbol, { value: true })
}

/** Details that some errors carry. */
export interface KestErrorOptions {
  /** What went wrong underneath. */
  readonly cause?: unknown
}

/**
 * The base of every error that Kest throws on purpose. `instanceof`, of it and of the classes below, holds across two
 * installed copies of the package and in minified bundles: each looks for a brand of its own (`Symbol.for('kest.error')`,
 * `Symbol.for('kest.error.PolicyDeniedError')`, …). Classes that you derive are told by their prototype, as always.
 *
 * @example
 * ```ts
 * try { await pay(order) } catch (error) {
 *   if (error instanceof KestError && error.code === 'ERR_KEST_DENIED') …
 * }
 * ```
 */
export class KestError extends Error {
  static {
    brand(this, Symbol.for('kest.error'))
  }

  readonly code: KestErrorCode
  /** HTTP status an adapter answers with. */
  readonly statusCode: number

  constructor(code: KestErrorCode, message: string, options: KestErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.statusCode = STATUS[code]
    this.name = 'KestError'
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    const symbol = BRANDS.get(this)
    if (symbol === undefined) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && symbol in value
  }
}

/** Kest is not, or wrongly, configured. Code `ERR_KEST_CONFIG` unless said otherwise. */
export class KestConfigError extends KestError {
  static {
    brand(this, Symbol.for('kest.error.KestConfigError'))
  }

  constructor(
    message: string,
    options: KestErrorOptions & { readonly code?: 'ERR_KEST_CONFIG' | 'ERR_KEST_TOO_LARGE' } = {},
  ) {
    super(options.code ?? 'ERR_KEST_CONFIG', message, options)
    this.name = 'KestConfigError'
  }
}

/** What everybody may read of a refusal: an application's error handler may show it to whoever asked. */
const DENIALS = {
  ERR_KEST_DENIED: 'a policy denied the operation',
  ERR_KEST_ENGINE: 'the policy engine failed',
  ERR_KEST_ENGINE_TIMEOUT: 'the policy engine did not decide in time',
  ERR_KEST_ENGINE_ANSWER: 'the policy engine answered something that is not a decision',
  ERR_KEST_NOT_ASKED: 'the policy is only observed, and was not asked',
} as const

/** Codes of a {@link PolicyDeniedError}. */
export type PolicyDeniedCode = keyof typeof DENIALS

/** Why there is no allow, for the operator. */
export interface PolicyDeniedDetails extends KestErrorOptions {
  readonly policies: readonly string[]
  readonly entryId: string
  readonly reason?: string | undefined
}

/**
 * A policy denied the operation, or could not be asked. It did not run.
 *
 * The message is fixed by the code. Names of policies, and what an engine said, are members: an operation may be refused
 * inside another, and what it throws then ends in an error handler that shows messages, as Fastify's own does.
 */
export class PolicyDeniedError extends KestError {
  static {
    brand(this, Symbol.for('kest.error.PolicyDeniedError'))
  }

  declare readonly code: PolicyDeniedCode
  /** Policies that did not allow; empty when it is not known which. */
  readonly policies: readonly string[]
  readonly entryId: string
  /** The engine's words, or what failed, for logs and spans; never for the client. */
  readonly reason: string | undefined

  constructor(code: PolicyDeniedCode, details: PolicyDeniedDetails) {
    super(code, DENIALS[code], details)
    this.name = 'PolicyDeniedError'
    this.policies = details.policies
    this.entryId = details.entryId
    this.reason = details.reason
  }
}

/** A passport, or an entry of it, does not hold. The first failure is the one thrown. */
export class PassportVerificationError extends KestError {
  static {
    brand(this, Symbol.for('kest.error.PassportVerificationError'))
  }

  /** Position of the entry at fault; `null` when it is the passport as a whole. */
  readonly index: number | null
  /** `entry_id` of the entry at fault, once it could be read. */
  readonly entryId: string | null

  constructor(
    code: KestErrorCode,
    message: string,
    details: KestErrorOptions & { readonly index?: number | null; readonly entryId?: string | null } = {},
  ) {
    super(code, message, details)
    this.name = 'PassportVerificationError'
    this.index = details.index ?? null
    this.entryId = details.entryId ?? null
  }
}
