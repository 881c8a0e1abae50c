import type { JWTPayload } from 'jose'
import type { Clock } from '../clock.js'
import { countParsedMembers } from '../entry/json-members.js'
import { KestError } from '../errors.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { Logger } from '../telemetry/logger.js'
import { identityOf } from './claims.js'
import type { TokenContent } from './remembered-tokens.js'
import type { ResolvedTokenOptions } from './token-options.js'

/** What a judge found. */
export interface Judgement extends TokenContent {
  /** Milliseconds since the epoch; `null` where nothing was checked. */
  readonly validUntil: number | null
  /** By which it was judged. */
  readonly options: ResolvedTokenOptions
}

/** A token → what it says, if it holds; at once where that is known. Throws, or rejects with, what refuses it. */
export type JudgeToken = (jwt: string) => MaybePromise<Judgement>

/** What a judge works with. */
export interface JudgeDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/** Claims have a few levels; what nests without end would exhaust the stack of whoever reads it. */
const MAX_NESTING = 64

/**
 * What claims say that were found to hold; they are frozen.
 * @throws {KestError} `ERR_KEST_TOKEN` as {@link identityOf}, and for claims that nest more than 64 deep
 */
export function contentOf(
  claims: JWTPayload,
  { claims: mappings, delegation }: ResolvedTokenOptions,
): TokenContent {
  assertNesting(claims)
  return { ...identityOf(claims, mappings, delegation), claims: deepFreeze(claims) }
}

/** @throws {KestError} `ERR_KEST_TOKEN` for claims that nest more than 64 deep */
export function assertNesting(claims: JWTPayload): void {
  if (countParsedMembers(claims, MAX_NESTING) !== undefined) return
  throw new KestError('ERR_KEST_TOKEN', `the claims of a token nest at most ${MAX_NESTING} deep`)
}

/** Of JSON that was just parsed: a tree. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
