import type { JWTPayload } from 'jose'
import { assertOptions } from '../assert-options.js'
import { MemoryReplayStore, type ReplayStore } from '../binding/replay-store.js'
import { type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import { isPromise } from '../maybe-promise.js'
import type { IdentityContext } from '../passport/verified.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import { type CredentialRules, readCredential } from './bearer.js'
import { judgeByIssuer } from './by-issuer.js'
import { assertProof, boundKey, type ProvenRequest } from './dpop.js'
import { createJudge } from './judge.js'
import type { JudgeToken } from './judgement.js'
import {
  type ResolvedTokenOptions,
  resolveTokenOptions,
  TOKEN_ALGORITHMS,
  type TokenOptions,
  TXN_TOKEN,
} from './token-options.js'
import { txnOf } from './txn.js'

/** A bearer token that was verified (or, with `insecureDecode`, merely read). */
export interface VerifiedToken {
  /** The token itself. It never leaves the process (K-JWT). */
  readonly jwt: string
  /** Frozen: requests with the same token share them. */
  readonly claims: JWTPayload
  /** Its `iss`, or who was asked about it; `null` with `insecureDecode`, where nobody vouches for one. */
  readonly issuer: string | null
  /**
   * Until when it is accepted, milliseconds since the epoch: its `exp`, and the tolerance for clocks. `null` with
   * `insecureDecode`, where nothing of it is checked.
   */
  readonly validUntil: number | null
  /** Who acts, as the token has it. */
  readonly identity: IdentityContext
  /** Who acted before, the latest first (RFC 8693 §4.1). For records, not for decisions. */
  readonly priorActors: readonly string[]
  /** Which transaction it is of, where it came as a `Txn-Token`. */
  readonly txn: string | null
}

/**
 * The value of `Authorization`, or of the `header` that the options name → the token in it, or `null` when there is none and
 * none is required. With `dpop` it must be told what the request is.
 */
export type TokenVerifier = (
  value: string | readonly string[] | undefined,
  request?: ProvenRequest,
) => Promise<VerifiedToken | null>

/** What a {@link TokenVerifier} works with. */
export interface TokenDeps {
  readonly clock?: Clock
  readonly logger?: Logger
  /** Remembers proofs (DPoP) where the options name no store of their own. Default: this process's memory. */
  readonly replay?: ReplayStore
  /** Part of the store's keys. Default `default`. */
  readonly namespace?: string
  /** How long the store is waited for. Default 250. */
  readonly cacheTimeoutMs?: number
}

/**
 * Verifies bearer JWTs (F-IC-05): signature by the issuer's keys, algorithm, `typ`, issuer, audience, expiry (`exp` is
 * required) and `nbf`; then says who acts. A token that was verified is remembered by its hash and not verified again
 * while it is in force and the issuer's keys are the same; functions among `claims` are asked once for it.
 *
 * A token that is bound to a key (`cnf.jkt`) is refused as a bearer token, and taken with a proof by that key where `dpop` says so.
 *
 * Not checked: revocation, `jti` replay of tokens, bindings to certificates (`cnf.x5t#S256`).
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
  assertOptions('createTokenVerifier', deps, DEPS)
  const { clock = systemClock, logger = stderrLogger } = deps
  const accepted = listOf(options).map(resolveTokenOptions)
  const rules = rulesOf(accepted)
  const required = accepted.some((item) => item.required)
  const judge = createJudges(accepted, (item) => createJudge(item, { clock, logger }))
  const memory = {
    replay: deps.replay ?? new MemoryReplayStore({ clock }),
    namespace: deps.namespace ?? 'default',
    cacheTimeoutMs: deps.cacheTimeoutMs ?? 250,
  }
  return async (value, request = { proof: undefined }) => {
    const credential = readCredential(value, rules)
    if (credential === null) {
      if (required) throw new KestError('ERR_KEST_TOKEN', 'no bearer token, and one is required here')
      return null
    }
    const { scheme, token: jwt } = credential
    const judging = judge(jwt)
    const judgement = isPromise(judging) ? await judging : judging
    const { options: own, claims, validUntil, identity, priorActors } = judgement
    const dpop = own.verify?.dpop ?? null
    if (scheme === 'dpop') {
      if (dpop === null) throw new KestError('ERR_KEST_TOKEN', 'DPoP is not taken of this issuer')
      const toleranceMs = own.verify?.clockToleranceMs ?? 0
      const replay = dpop.replayStore ?? memory.replay
      await assertProof(jwt, claims, request, dpop, {
        ...memory,
        replay,
        clock,
        toleranceMs,
        algorithms: ALGORITHMS,
      })
    } else if (dpop?.required === true)
      throw new KestError('ERR_KEST_TOKEN', 'a proof of the key is required here (DPoP)')
    else if (own.verify !== null && boundKey(claims) !== null)
      throw new KestError(
        'ERR_KEST_TOKEN',
        'the token is bound to a key, and came without a proof (RFC 9449 §7.2)',
      )
    const txn = rules.header === TXN_TOKEN ? txnOf(claims) : null
    const issuer = own.verify === null ? null : (claims.iss ?? own.verify.issuer[0] ?? null)
    return Object.freeze({ jwt, claims, issuer, validUntil, identity, priorActors, txn })
  }
}

/** The header that tokens are in, in lower case. */
export function tokenHeader(options: TokenOptions | readonly TokenOptions[]): string {
  return rulesOf(listOf(options).map(resolveTokenOptions)).header
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
  const { jwks, issuer, audience, algorithms, types, introspection } = verify
  if (introspection !== null) return Object.freeze({ issuer, audience, asked: 'the issuer (introspection)' })
  const url = typeof jwks === 'string' || jwks instanceof URL ? new URL(jwks) : undefined
  return Object.freeze({
    issuer,
    audience,
    algorithms,
    ...(types !== null && { types: [...types] }),
    ...(url !== undefined && { keys: url.origin + url.pathname }),
  })
}

const DEPS: readonly (keyof TokenDeps)[] = ['clock', 'logger', 'replay', 'namespace', 'cacheTimeoutMs']
const ALGORITHMS: string[] = [...TOKEN_ALGORITHMS]

function rulesOf(accepted: readonly ResolvedTokenOptions[]): CredentialRules {
  const [header = '', another] = new Set(accepted.map((item) => item.header))
  if (another !== undefined)
    throw new KestConfigError('token.header: tokens of one listener are all in one header')
  return {
    header,
    maxBytes: Math.max(...accepted.map((item) => item.maxTokenBytes)),
    dpop: accepted.some(({ verify }) => verify !== null && verify.dpop !== null),
  }
}

function createJudges(
  accepted: readonly ResolvedTokenOptions[],
  create: (item: ResolvedTokenOptions) => JudgeToken,
): JudgeToken {
  const [only] = accepted
  if (only !== undefined && accepted.length === 1) return create(only)
  const judges = new Map<string, JudgeToken>()
  let opaque: JudgeToken | undefined
  for (const item of accepted) {
    if (item.verify === null)
      throw new KestConfigError('token.insecureDecode: means nothing in a list, where issuers are told apart')
    const judge = create(item)
    if (item.verify.introspection !== null) {
      if (opaque !== undefined)
        throw new KestConfigError(
          'token.introspection: of a list one alone can be asked about tokens that name no issuer',
        )
      opaque = judge
    }
    for (const issuer of item.verify.issuer) {
      if (judges.has(issuer))
        throw new KestConfigError(`token.issuer: ${JSON.stringify(issuer)} is listed twice`)
      judges.set(issuer, judge)
    }
  }
  return judgeByIssuer(judges, opaque)
}

function listOf(options: TokenOptions | readonly TokenOptions[]): readonly TokenOptions[] {
  if (!Array.isArray(options)) return [options as TokenOptions]
  if (options.length === 0)
    throw new KestConfigError('token: an empty list accepts no token; leave the option out')
  return options
}
