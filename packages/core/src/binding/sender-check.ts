import type { Clock } from '../clock.js'
import { claimedPrincipal } from '../entry/peek.js'
import type { KeySource } from '../identity/key-source.js'
import type { Limits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { MessageEvidence } from '../messages/message.js'
import type { Passport } from '../passport/passport.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import type { ResolvedBinding } from './binding-options.js'
import { assertOnceOnly } from './hop-once.js'
import { HOP, HOP_LIFETIME_S, type HopClaims, parseHopToken } from './hop-token.js'
import { checkMessage } from './message-check.js'
import type { Peer } from './peer.js'
import type { ReplayStore } from './replay-store.js'
import { type BoundRequest, checkRequest } from './request-check.js'
import { checkToken, provenTips, refused } from './token-check.js'

/** What shows who sends a request. */
export interface SenderEvidence {
  /** `kest.hop`, as it came. */
  readonly hop: string | undefined
  /** The other end of the connection. */
  readonly peer: Peer | undefined
  /** `kest.message`, as it came. */
  readonly token?: string | undefined
  /** The request that the passport came with. */
  readonly request?: BoundRequest | undefined
  /** The message that the passport came with. */
  readonly message?: MessageEvidence | undefined
}

/** What is left to ask when the sender's evidence has been looked at. Each rejects when it does not hold. */
export interface BoundCheck {
  /** What the message is named by its token (K-MESSAGE). */
  readonly messageId?: string
  /**
   * Whether the passport can be the sender's to send, if all that it claims is true: whoever has nothing to send here is
   * refused before it is verified. A cheap question, and an answer that is not the last.
   */
  canBeSent(claimed: Passport): MaybePromise<void>
  /** Whether the passport is the sender's to send. */
  isSent(verified: VerifiedPassport): MaybePromise<void>
}

/**
 * Looks at what shows who sends, before the passport is restored: what can be refused without it, is. The answer does
 * the rest.
 */
export type SenderCheck = (evidence: SenderEvidence) => BoundCheck

/** What a check works with. */
export interface SenderCheckDeps {
  readonly trust: readonly KeySource[]
  readonly limits: Limits
  readonly clock: Clock
  /** Of hop tokens, where the listener is given none. */
  readonly replay: ReplayStore
  /** Part of the replay store's keys, as of a claim check's. */
  readonly namespace: string
  readonly cacheTimeoutMs: number
}

/**
 * Makes the check of a binding (K-HOP, K-MESSAGE). Everything that does not hold is `ERR_KEST_BINDING`; what cannot be said is
 * `ERR_KEST_KEYS_UNAVAILABLE` or `ERR_KEST_CACHE`.
 */
export function createSenderCheck(binding: ResolvedBinding, deps: SenderCheckDeps): SenderCheck {
  switch (binding.kind) {
    case 'none':
      return () => ANYONE
    case 'mtls':
      return ({ peer }) => checkPeer(peer, binding.relays)
    case 'hop':
      return ({ hop, request }) => checkHop(hop, request, binding, deps)
    case 'message':
      return ({ token, message }) => checkMessage(token, message, binding, deps)
  }
}

const ANYONE: BoundCheck = Object.freeze({ canBeSent: () => {}, isSent: () => {} })

function checkPeer(peer: Peer | undefined, relays: readonly string[]): BoundCheck {
  if (peer === undefined) throw refused('no authorized peer certificate with one SPIFFE ID', HOP)
  const { spiffeId } = peer
  const assertAmong = (principals: readonly (string | undefined)[]): void => {
    if (relays.includes(spiffeId) || principals.includes(spiffeId)) return
    throw refused(`the peer ${spiffeId} is neither the principal of a tip nor a relay`, HOP)
  }
  return {
    canBeSent: ({ entries }) => {
      const claimed = entries.map(claimedPrincipal)
      if (!claimed.includes(undefined)) assertAmong(claimed)
    },
    isSent: (passport) => assertAmong(provenTips(passport)),
  }
}

function checkHop(
  hop: string | undefined,
  request: BoundRequest = UNKNOWN,
  { relays, audiences, clockSkewMs, replayStore, ...rules }: Extract<ResolvedBinding, { kind: 'hop' }>,
  { trust, limits, clock, replay, namespace, cacheTimeoutMs }: SenderCheckDeps,
): BoundCheck {
  if (hop === undefined) throw refused('no hop token came with the passport', HOP)
  const token = parseHopToken(hop, limits)
  const now = clock.now()
  assertForUs(token.claims, audiences)
  assertNow(token.claims, now, clockSkewMs)
  const checkBody = checkRequest(token.claims, request, rules)
  const memory = { replay: replayStore ?? replay, namespace, cacheTimeoutMs }
  const check = checkToken(HOP, token, {
    relays,
    trust,
    time: now,
    mayBeUsed: (signer) => assertOnceOnly(token.claims, signer, memory),
  })
  // No body is kept for who may not send here, and of one token no two at once.
  return {
    ...check,
    async isSent(passport) {
      await check.isSent(passport)
      await checkBody()
    },
  }
}

const UNKNOWN: BoundRequest = { method: undefined, url: undefined, body: undefined }

function assertForUs({ aud }: HopClaims, audiences: ReadonlySet<string>): void {
  if (audiences.has(aud)) return
  throw refused(`the hop token is for ${JSON.stringify(aud.slice(0, 256))}, which is not this service`, HOP)
}

function assertNow({ iat, exp }: HopClaims, now: number, skew: number): void {
  if (exp < iat || exp > iat + HOP_LIFETIME_S) {
    throw refused(`the hop token is for ${exp - iat} s; at most ${HOP_LIFETIME_S} are accepted`, HOP)
  }
  if (now < iat * 1000 - skew) throw refused(`the hop token is ${iat * 1000 - now} ms ahead`, HOP)
  if (now >= exp * 1000 + skew) throw refused(`the hop token expired ${now - exp * 1000} ms ago`, HOP)
}
