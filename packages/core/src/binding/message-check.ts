import type { MessageEvidence } from '../messages/message.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import type { ResolvedBinding } from './binding-options.js'
import { assertDeliveredOnce } from './message-once.js'
import { bodyDigest, MESSAGE, type MessageClaims, parseMessageToken } from './message-token.js'
import type { BoundCheck, SenderCheckDeps } from './sender-check.js'
import { checkToken, refused } from './token-check.js'

/**
 * That a passport came with the very message that its sender sent it with, to where he sent it, and in time (K-MESSAGE).
 * Certificates are judged at `iat`: a message may be read when its sender's are over.
 */
export function checkMessage(
  text: string | undefined,
  message: MessageEvidence | undefined,
  binding: Extract<ResolvedBinding, { kind: 'message' }>,
  { trust, limits, clock, namespace, cacheTimeoutMs }: SenderCheckDeps,
): BoundCheck {
  if (text === undefined || message === undefined)
    throw refused('no message token came with the passport', MESSAGE)
  const token = parseMessageToken(text, limits)
  const { claims } = token
  const now = clock.now()
  assertForUs(claims, [message.from, ...binding.audiences])
  assertNow(claims, now, binding)
  if (claims.digest !== bodyDigest(message.body))
    throw refused('the message token is for another body', MESSAGE)
  const check = checkToken(MESSAGE, token, {
    relays: binding.relays,
    trust,
    time: claims.iat * 1000,
    mayBeUsed: (signer, passport) => {
      assertAfterTips(claims, passport, binding.clockSkewMs)
      if (binding.replayStore === null) return
      const memory = { replay: binding.replayStore, namespace, cacheTimeoutMs }
      const until = Math.min(claims.exp * 1000, claims.iat * 1000 + binding.maxAgeMs)
      return assertDeliveredOnce(claims, signer, message, { memory, leftMs: until - now })
    },
  })
  return { ...check, messageId: claims.jti }
}

function assertForUs({ aud }: MessageClaims, audiences: readonly string[]): void {
  if (audiences.includes(aud)) return
  throw refused(
    `the message token is for ${JSON.stringify(aud.slice(0, 256))}, and was read elsewhere`,
    MESSAGE,
  )
}

/** Sender and receiver each bound how old it may get; the lesser holds. */
function assertNow(
  { iat, exp }: MessageClaims,
  now: number,
  { clockSkewMs: skew, maxAgeMs }: Extract<ResolvedBinding, { kind: 'message' }>,
): void {
  if (exp < iat) throw refused('the message token expires before it was made', MESSAGE)
  const until = Math.min(exp * 1000, iat * 1000 + maxAgeMs)
  if (now < iat * 1000 - skew) throw refused(`the message token is ${iat * 1000 - now} ms ahead`, MESSAGE)
  if (now >= until + skew) throw refused(`the message token expired ${now - until} ms ago`, MESSAGE)
}

/** Who has an old key could date a token back to when it was good; but not to before what it is for. */
function assertAfterTips({ iat }: MessageClaims, { tips }: VerifiedPassport, skew: number): void {
  // Seconds were cut off.
  if (tips.every(({ entry }) => iat * 1000 + 1000 + skew > entry.timestamp_ms)) return
  throw refused('the message token is dated before what it is for', MESSAGE)
}
