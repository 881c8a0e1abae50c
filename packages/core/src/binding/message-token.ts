import { randomUUID } from 'node:crypto'
import type { Signer } from '../identity/provider.js'
import type { Limits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { MessageBody } from '../messages/message.js'
import { contentDigest, isContentDigest } from './content-digest.js'
import {
  type ParsedSenderToken,
  parseSenderToken,
  type SenderClaims,
  signSenderToken,
  type TokenKind,
  Unreadable,
} from './sender-token.js'

/** What a sender states about one message (K-MESSAGE): `aud` is the URI of the queue or topic, `jti` names the message. */
export interface MessageClaims extends SenderClaims {
  /** As {@link bodyDigest} answers. */
  readonly digest: string | null
}

export type ParsedMessageToken = ParsedSenderToken<MessageClaims>

export const MESSAGE: TokenKind = Object.freeze({
  typ: 'kest-message',
  name: 'message token',
  rule: 'K-MESSAGE',
})

/** What a token is made of, beside its signer. */
export interface MessageFacts {
  /** URI of the queue or topic. */
  readonly to: string
  readonly body: MessageBody
  readonly tips: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly maxAgeMs: number
}

/**
 * Makes the token of one message. Synchronous when the signer is.
 *
 * @param room characters that the token may have; with a list of tips that makes it longer it has their digest (K-TIPS)
 * @throws {KestError} `ERR_KEST_LIMIT`, `ERR_KEST_IDENTITY` when the signer fails
 */
export function createMessageToken(
  signer: Signer,
  { to, body, tips, now, maxAgeMs }: MessageFacts,
  limits: Limits,
  room: number,
): MaybePromise<string> {
  const iat = Math.floor(now / 1000)
  const exp = iat + Math.max(1, Math.floor(maxAgeMs / 1000))
  const claims = { aud: to, digest: bodyDigest(body), exp, iat, jti: randomUUID() }
  return signSenderToken(MESSAGE, claims, tips, signer, limits, room)
}

/**
 * Reads a token as {@link parseSenderToken} does.
 * @throws {KestError} `ERR_KEST_BINDING`
 */
export function parseMessageToken(token: string, limits: Limits): ParsedMessageToken {
  return parseSenderToken<MessageClaims>(MESSAGE, token, limits, ({ digest }) => {
    if (digest === null || isContentDigest(digest)) return { digest }
    throw new Unreadable('digest is not a SHA-256 by RFC 9530')
  })
}

/**
 * What a token says of a body: `sha-256=:<base64>:` as by RFC 9530, of the bytes that travel. `null` says that there is none, as of
 * what deletes a key from a compacted topic, which is something else than an empty one.
 */
export function bodyDigest(body: MessageBody): string | null {
  return body === null ? null : contentDigest([body])
}
