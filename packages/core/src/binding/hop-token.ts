import { randomUUID } from 'node:crypto'
import type { Signer } from '../identity/provider.js'
import type { Limits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import { type BoundClaims, readBoundClaims } from './bound-request.js'
import {
  type ParsedSenderToken,
  parseSenderToken,
  type SenderClaims,
  signSenderToken,
  type TokenKind,
} from './sender-token.js'

/** How long a token may be good for, seconds (K-HOP). */
export const HOP_LIFETIME_S = 30

/** What a sender states about one request (K-HOP): `aud` is the origin called, and the token is used once; for what it binds, K-BODY. */
export type HopClaims = SenderClaims & BoundClaims

export type ParsedHopToken = ParsedSenderToken<HopClaims>

export const HOP: TokenKind = Object.freeze({ typ: 'kest-hop', name: 'hop token', rule: 'K-HOP' })

/**
 * Makes the token for one dispatch. Synchronous when the signer is.
 *
 * @param origin of the URL that is called
 * @param now milliseconds since the epoch
 * @param room characters that the token may have; with a list of tips that makes it longer it has their digest (K-TIPS)
 * @param bound what it says of the request, as `boundTo` answers
 * @throws {KestError} `ERR_KEST_LIMIT`, `ERR_KEST_IDENTITY` when the signer fails
 */
export function createHopToken(
  signer: Signer,
  origin: string,
  tips: readonly string[],
  now: number,
  limits: Limits,
  room: number,
  bound: BoundClaims = {},
): MaybePromise<string> {
  const iat = Math.floor(now / 1000)
  const claims = { aud: origin, exp: iat + HOP_LIFETIME_S, iat, jti: randomUUID(), ...bound }
  return signSenderToken(HOP, claims, tips, signer, limits, room)
}

/**
 * Reads a token as {@link parseSenderToken} does.
 * @throws {KestError} `ERR_KEST_BINDING`
 */
export function parseHopToken(token: string, limits: Limits): ParsedHopToken {
  return parseSenderToken<HopClaims>(HOP, token, limits, readBoundClaims)
}
