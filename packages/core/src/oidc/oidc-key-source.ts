import { types } from 'node:util'
import { assertOptions, isRecord } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError } from '../errors.js'
import type { KeyQuery, KeySource, VerificationKey } from '../identity/key-source.js'
import { publishedKeysUrl } from '../identity/published-keys.js'
import { type Limits, resolveLimits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import { positiveIntegers } from '../positive-integers.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import { issuerUrl } from '../tokens/issuer-metadata.js'
import { createTokenKeys } from '../tokens/token-keys.js'
import { resolveTokenOptions, type VerifiedTokenOptions } from '../tokens/token-options.js'
import { createJwtVerifier, type VerifyJwt } from '../tokens/verify-jwt.js'
import { VouchedKeys, type VouchedKeysSettings } from './vouched-keys.js'

const OF_ISSUER = [
  'jwks',
  'algorithms',
  'types',
  'clockToleranceMs',
  'jwksTimeoutMs',
  'jwksCooldownMs',
  'jwksMaxAgeMs',
  'jwksMaxStaleMs',
  'fetch',
] as const satisfies readonly (keyof VerifiedTokenOptions)[]

/** How tokens of one issuer are verified; as for bearer tokens, but that `clockToleranceMs` is 60,000 by default. */
export type OIDCIssuerOptions = Pick<VerifiedTokenOptions, (typeof OF_ISSUER)[number]>

/** How a {@link createOIDCKeySource} has keys and tokens. Times are milliseconds. */
export interface OIDCKeyOptions {
  /** As results and errors call it. Default `oidc`. */
  readonly name?: string
  /** Issuer → how its tokens are verified. Default, for each: by the keys that its metadata name (discovery). */
  readonly issuers?: Readonly<Record<string, OIDCIssuerOptions>>
  /** When the URLs are asked again, and tokens verified again, for a principal whose key is known; nobody waits for it. Default 600,000. */
  readonly maxAgeMs?: number
  /** The least time between two requests for one key that were in vain; and no more than eight keys of a principal are sought in vain within it. Default 5,000. */
  readonly cooldownMs?: number
  /** How long after a token's end its key is known, for what was signed before. Default 3,600,000, as `maxAgeMs` of listeners. */
  readonly keepMs?: number
  /** Of one request for keys, body included. Default 5,000. */
  readonly timeoutMs?: number
  /** Of one body. Default 65,536. */
  readonly maxBytes?: number
  readonly limits?: Partial<Limits>
  /** Asks the URLs of principals. Default: the global one. */
  readonly fetch?: typeof fetch
  readonly logger?: Logger
  readonly clock?: Clock
}

const DEFAULTS = {
  maxAgeMs: 600_000,
  cooldownMs: 5_000,
  keepMs: 3_600_000,
  timeoutMs: 5_000,
  maxBytes: 65_536,
} as const

const KNOWN: readonly string[] = [
  'name',
  'issuers',
  ...Object.keys(DEFAULTS),
  'limits',
  'fetch',
  'logger',
  'clock',
]

const MAX_URLS = 16
const NONE: readonly VerificationKey[] = Object.freeze([])

/** Principal `<iss>#<sub>` → where its keys are published, with the tokens that vouch for them. */
export type OIDCPrincipals =
  | Readonly<Record<string, string | URL | readonly (string | URL)[]>>
  | ReadonlyMap<string, string | URL | readonly (string | URL)[]>

/**
 * A key source of workloads whose keys an issuer of tokens vouches for (K-OIDCID), as `OIDCIdentity` publishes them.
 *
 * The operator lists the principals, `<iss>#<sub>`, and the https URLs at which their keys are. What is served there is not
 * believed: a key counts only with a token beside it that the principal's issuer signed, that names this subject, and into
 * which this key is signed, for entries that are dated within the token's validity and name the key (`kid`). So whoever serves
 * the keys can withhold some, and add none.
 *
 * Keys of replicas add up. A key that is not known has the URLs asked: one request for all who wait, and at most eight within
 * `cooldownMs` in vain, each for another key. While the URLs or the issuer cannot be asked, keys that were proven go on until
 * their tokens end. An issuer that no longer has the key which a token was signed with ends it, when that is looked at: at the first
 * request after `maxAgeMs`, which still has the key, by the issuer's keys as they were up to `jwksMaxAgeMs` ago.
 *
 * Not checked: whether a token was revoked otherwise. A principal that is withdrawn is taken out of the list.
 *
 * @throws {KestConfigError} for a principal that is not `<iss>#<sub>` of an https issuer, for another URL, for options that are unknown
 *   or wrong, and for an issuer of no principal. `find` throws `ERR_KEST_KEY_UNKNOWN` for a key that no token vouches for at the
 *   time, and `ERR_KEST_KEYS_UNAVAILABLE` when that cannot be said.
 *
 * @example
 * ```ts
 * const trust = createOIDCKeySource({
 *   'https://token.example.org#system:serviceaccount:shop:orders': 'https://orders.example.org/.well-known/kest/jwks.json',
 * })
 * ```
 */
export function createOIDCKeySource(principals: OIDCPrincipals, options: OIDCKeyOptions = {}): KeySource {
  return new OIDCKeySource(principals, options)
}

class OIDCKeySource implements KeySource {
  readonly name: string
  readonly kind = 'keys'
  readonly #principals = new Map<string, VouchedKeys>()
  #generation = 0

  constructor(principals: OIDCPrincipals, options: OIDCKeyOptions) {
    assertOptions('createOIDCKeySource', options, KNOWN)
    if (typeof principals !== 'object' || principals === null || Array.isArray(principals))
      throw invalid(
        'expected principals with the URL of their keys: { "https://issuer.example#sub": "https://…" }',
      )
    if (options.fetch !== undefined && typeof options.fetch !== 'function')
      throw invalid('fetch: expected a function')
    if (options.issuers !== undefined && !isRecord(options.issuers))
      throw invalid('issuers: expected an object, issuer → options')
    this.name = options.name ?? 'oidc'
    const { logger = stderrLogger, clock = systemClock, issuers = {} } = options
    const settings: VouchedKeysSettings = {
      ...positiveIntegers('createOIDCKeySource', DEFAULTS, options),
      limits: resolveLimits(options.limits),
      fetch: options.fetch ?? ((...args) => fetch(...args)),
      logger,
      clock,
      onGone: () => {
        this.#generation++
      },
    }
    const verifiers = new Map<string, VerifyJwt>()
    for (const [principal, urls] of types.isMap(principals) ? principals : Object.entries(principals)) {
      const iss = issuerOf(principal)
      const own = Object.hasOwn(issuers, iss) ? issuers[iss] : {}
      const verify = verifiers.get(iss) ?? createVerifier(iss, own, { clock, logger })
      verifiers.set(iss, verify)
      this.#principals.set(principal, new VouchedKeys(principal, urlsOf(principal, urls), verify, settings))
    }
    const idle = Object.keys(issuers).find((iss) => !verifiers.has(iss))
    if (idle !== undefined) throw invalid(`issuers: ${JSON.stringify(idle)} is the issuer of no principal`)
  }

  get generation(): number {
    return this.#generation
  }

  knows(principal: string): boolean {
    return this.#principals.has(principal)
  }

  find({ principal, header, time }: KeyQuery): MaybePromise<readonly VerificationKey[]> {
    return this.#principals.get(principal)?.keys(header.kid, time) ?? NONE
  }
}

function createVerifier(
  iss: string,
  options: OIDCIssuerOptions | undefined,
  deps: { readonly clock: Clock; readonly logger: Logger },
): VerifyJwt {
  assertOptions(`createOIDCKeySource: issuers[${JSON.stringify(iss)}]`, options, OF_ISSUER)
  const given = { clockToleranceMs: 60_000, ...options, issuer: iss, audience: iss }
  const { verify } = resolveTokenOptions(given)
  // Unreachable: nothing here decodes without verifying.
  if (verify === null) throw invalid('issuers: tokens are verified')
  // Whom a token is for says which key it vouches for, and is read there.
  return createJwtVerifier({ ...verify, audience: null }, createTokenKeys(verify, deps), deps.clock)
}

/** Of `<iss>#<sub>`. */
function issuerOf(principal: string): string {
  const end = principal.indexOf('#')
  if (end < 1 || !/^\S+$/.test(principal.slice(end + 1)) || !URL.canParse(principal.slice(0, end)))
    throw invalid(`${JSON.stringify(principal)}: expected a principal "<iss>#<sub>"`)
  const iss = principal.slice(0, end)
  issuerUrl(iss)
  return iss
}

function urlsOf(principal: string, urls: unknown): readonly URL[] {
  const list: readonly unknown[] = Array.isArray(urls) ? urls : [urls]
  const what = `keys of ${JSON.stringify(principal)}`
  if (list.length === 0 || list.length > MAX_URLS) throw invalid(`${what}: expected one to ${MAX_URLS} URLs`)
  return list.map((url) => publishedKeysUrl(url as string | URL, what))
}

function invalid(message: string): KestConfigError {
  return new KestConfigError(`createOIDCKeySource: ${message}`)
}
