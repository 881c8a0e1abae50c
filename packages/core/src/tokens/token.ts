import type { JWTPayload } from 'jose'
import { assertOptions } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import type { IdentityContext } from '../passport/verified.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import { readBearer } from './bearer.js'
import { judgeByIssuer } from './by-issuer.js'
import { createJudge, type JudgeToken } from './judge.js'
import { type ResolvedTokenOptions, resolveTokenOptions, type TokenOptions } from './token-options.js'

/** A bearer token that was verified (or, with `insecureDecode`, merely read). */
export interface VerifiedToken {
  /** The token itself. It never leaves the process (K-JWT). */
  readonly jwt: string
  /** Frozen: requests with the same token share them. */
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
 * required) and `nbf`; then says who acts. A token that was verified is remembered by its hash and not verified again
 * while it is in force and the issuer's keys are the same; functions among `claims` are asked once for it.
 *
 * Not checked: revocation, `jti` replay, sender constraints (`cnf`).
 *
 * @param options of one issuer, or a list: each token is judged by the options of the issuer that it names
 * @throws {KestConfigError} when an option is missing, unknown or wrong, or an issuer is in two of a list. The verifier
 * itself rejects with a `KestError`: `ERR_KEST_TOKEN` for a token that does not hold or is missing,
 * `ERR_KEST_KEYS_UNAVAILABLE` when the issuer's keys cannot be had, so that nothing can be said about the token.
 *
 * @example
 * ```ts
 * const verify = createTokenVerifier({
 *   issuer: 'https://id.example.org',
 *   audience: 'https://orders.example.org',
 * })
 * const token = await verify(request.headers.authorization)
 * token?.identity // { user: 'alice', agent: 'web', task: 'orders:read' }
 * ```
 */
export function createTokenVerifier(
  options: TokenOptions | readonly TokenOptions[],
  deps: TokenDeps = {},
): TokenVerifier {
  assertOptions('createTokenVerifier', deps, ['clock', 'logger'])
  const { clock = systemClock, logger = stderrLogger } = deps
  const accepted = listOf(options).map(resolveTokenOptions)
  const required = accepted.some((item) => item.required)
  const maxTokenBytes = Math.max(...accepted.map((item) => item.maxTokenBytes))
  const judge = createJudges(accepted, (item) => createJudge(item, { clock, logger }))
  return async (authorization) => {
    const jwt = readBearer(authorization, maxTokenBytes)
    if (jwt === null) {
      if (required) throw new KestError('ERR_KEST_TOKEN', 'no bearer token, and one is required here')
      return null
    }
    return Object.freeze({ jwt, ...(await judge(jwt)) })
  }
}

/** What a token must be to be accepted, for the operator's log: nothing of it is secret. */
export function expectedOfToken(
  options: TokenOptions | readonly TokenOptions[],
): Readonly<Record<string, unknown>> | undefined {
  const [first, ...others] = listOf(options).map((item) => expectedOf(resolveTokenOptions(item)))
  if (others.length === 0) return first
  return Object.freeze({ any: [first, ...others] })
}

function expectedOf({ verify }: ResolvedTokenOptions): Readonly<Record<string, unknown>> | undefined {
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

function createJudges(
  accepted: readonly ResolvedTokenOptions[],
  create: (item: ResolvedTokenOptions) => JudgeToken,
): JudgeToken {
  const [only] = accepted
  if (only !== undefined && accepted.length === 1) return create(only)
  const judges = new Map<string, JudgeToken>()
  for (const item of accepted) {
    if (item.verify === null)
      throw new KestConfigError('token.insecureDecode: means nothing in a list, where issuers are told apart')
    const judge = create(item)
    for (const issuer of item.verify.issuer) {
      if (judges.has(issuer))
        throw new KestConfigError(`token.issuer: ${JSON.stringify(issuer)} is listed twice`)
      judges.set(issuer, judge)
    }
  }
  return judgeByIssuer(judges)
}

function listOf(options: TokenOptions | readonly TokenOptions[]): readonly TokenOptions[] {
  if (!Array.isArray(options)) return [options as TokenOptions]
  if (options.length === 0)
    throw new KestConfigError('token: an empty list accepts no token; leave the option out')
  return options
}
