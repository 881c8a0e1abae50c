import { decodeJwt, type JWTPayload, jwtVerify } from 'jose'
import { assertOptions } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import type { IdentityContext } from '../passport/verified.js'
import { shown } from '../shown.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import { oneLine } from '../telemetry/one-line.js'
import { readBearer } from './bearer.js'
import { identityOf } from './claims.js'
import { createTokenKeys } from './token-keys.js'
import { normalizeType, resolveTokenOptions, type TokenOptions } from './token-options.js'

/** Types that a token has by default; none at all is fine too, as RFC 7519 has it. */
const USUAL_TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt'])
/** A message may quote the token's header, as long as that is. */
const MAX_WHY = 200

/** A bearer token that was verified (or, with `insecureDecode`, merely read). */
export interface VerifiedToken {
  /** The token itself. It never leaves the process (K-JWT). */
  readonly jwt: string
  readonly claims: JWTPayload
  /**
   * Until when it is accepted, milliseconds since the epoch: its `exp`, and the tolerance for clocks. `null` with
   * `insecureDecode`, where nothing of it is checked.
   */
  readonly validUntil: number | null
  /** Who acts, as the token has it. */
  readonly identity: IdentityContext
  /** Who acted before, the latest first (RFC 8693 §4.1). For records, not for decisions. */
  readonly priorActors: readonly string[]
}

/** The value of `Authorization` → the token in it, or `null` when there is none and none is required. */
export type TokenVerifier = (
  authorization: string | readonly string[] | undefined,
) => Promise<VerifiedToken | null>

/** What a {@link TokenVerifier} works with. */
export interface TokenDeps {
  readonly clock?: Clock
  readonly logger?: Logger
}

/**
 * Verifies bearer JWTs (F-IC-05): signature by the issuer's keys, algorithm, `typ`, issuer, audience, expiry (`exp` is
 * required) and `nbf`; then says who acts.
 *
 * Not checked: revocation, `jti` replay, sender constraints (`cnf`).
 *
 * @throws {KestConfigError} when an option is missing, unknown or wrong. The verifier itself rejects with a
 * `KestError`: `ERR_KEST_TOKEN` for a token that does not hold or is missing, `ERR_KEST_KEYS_UNAVAILABLE` when the
 * issuer's keys cannot be had, so that nothing can be said about the token.
 *
 * @example
 * ```ts
 * const verify = createTokenVerifier({
 *   jwks: 'https://id.example.org/jwks',
 *   issuer: 'https://id.example.org',
 *   audience: 'https://orders.example.org',
 * })
 * const token = await verify(request.headers.authorization)
 * token?.identity // { user: 'alice', agent: 'web', task: 'orders:read' }
 * ```
 */
export function createTokenVerifier(options: TokenOptions, deps: TokenDeps = {}): TokenVerifier {
  assertOptions('createTokenVerifier', deps, ['clock', 'logger'])
  const { required, claims, delegation, maxTokenBytes, verify } = resolveTokenOptions(options)
  const validUntil = ({ exp }: JWTPayload): number | null =>
    verify === null ? null : (exp as number) * 1000 + verify.clockToleranceMs
  const claimsOf =
    verify === null
      ? insecureDecoder(deps.logger ?? stderrLogger)
      : verifier(verify, deps.clock ?? systemClock)
  return async (authorization) => {
    const jwt = readBearer(authorization, maxTokenBytes)
    if (jwt === null) {
      if (required) throw new KestError('ERR_KEST_TOKEN', 'no bearer token, and one is required here')
      return null
    }
    const payload = await claimsOf(jwt)
    return Object.freeze({
      jwt,
      claims: payload,
      validUntil: validUntil(payload),
      ...identityOf(payload, claims, delegation),
    })
  }
}

/** What a token must be to be accepted, for the operator's log: nothing of it is secret. */
export function expectedOfToken(options: TokenOptions): Readonly<Record<string, unknown>> | undefined {
  const { verify } = resolveTokenOptions(options)
  if (verify === null) return undefined
  const { jwks, issuer, audience, algorithms, types } = verify
  const url = typeof jwks === 'string' || jwks instanceof URL ? new URL(jwks) : undefined
  return Object.freeze({
    issuer,
    audience,
    algorithms,
    ...(types !== null && { types: [...types] }),
    ...(url !== undefined && { keys: url.origin + url.pathname }),
  })
}

type ClaimsOf = (jwt: string) => Promise<JWTPayload>

function verifier(
  options: NonNullable<ReturnType<typeof resolveTokenOptions>['verify']>,
  clock: Clock,
): ClaimsOf {
  const keys = createTokenKeys(options)
  const checks = {
    issuer: options.issuer,
    audience: options.audience,
    algorithms: options.algorithms,
    clockTolerance: options.clockToleranceMs / 1000,
    requiredClaims: ['exp'],
  }
  return async (jwt) => {
    try {
      const { payload, protectedHeader } = await jwtVerify(jwt, keys, {
        ...checks,
        currentDate: new Date(clock.now()),
      })
      assertType(protectedHeader.typ, options.types)
      return payload
    } catch (cause) {
      // Ours says which; everything else that stops a verification is a token that was not verified.
      if (cause instanceof KestError) throw cause
      const why = oneLine((cause as Error).message, MAX_WHY)
      throw new KestError('ERR_KEST_TOKEN', `the bearer token does not hold: ${why}`, { cause })
    }
  }
}

/** A JWS of another kind (`kest-hop`, `dpop+jwt`, `logout+jwt`) is no bearer token, whoever signed it (RFC 8725 §3.11). */
function assertType(typ: unknown, types: ReadonlySet<string> | null): void {
  if (typ === undefined && types === null) return
  if (typeof typ !== 'string' || !(types ?? USUAL_TYPES).has(normalizeType(typ))) {
    throw new KestError(
      'ERR_KEST_TOKEN',
      `a token of type ${typ === undefined ? 'undefined' : shown(String(typ))} is not accepted here`,
    )
  }
}

function insecureDecoder(logger: Logger): ClaimsOf {
  if (process.env['NODE_ENV'] === 'production') {
    throw new KestConfigError('token.insecureDecode: refused with NODE_ENV=production')
  }
  logger.warn(
    { option: 'token.insecureDecode' },
    'INSECURE: bearer tokens are read and not verified; whoever calls says who he is',
  )
  return async (jwt) => {
    try {
      return decodeJwt(jwt)
    } catch (cause) {
      throw new KestError('ERR_KEST_TOKEN', 'the bearer token is not a JWT', { cause })
    }
  }
}
